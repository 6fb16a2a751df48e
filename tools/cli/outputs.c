/* floor 5.3 - outputs: no run overwrites what it reads, or what is of another kind. */
#define _POSIX_C_SOURCE 200809L
#include "outputs.h"

#include "file.h"
#include "lora_flag.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- kinds ---- */

/* The beginning of a file. */
typedef struct sample {
    unsigned char bytes[4096];
    size_t n;
    off_t file_size;
} sample;

static bool is_gguf(const sample *s) { return s->n >= 4 && memcmp(s->bytes, "GGUF", 4) == 0; }

static bool is_state(const sample *s) { return s->n >= 7 && memcmp(s->bytes, "PFSTATE", 7) == 0; }

static bool is_html(const sample *s) {
    static const char *const starts[] = {"<!doctype html", "<html"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t n = strlen(starts[i]);
        if (s->n >= n && strncasecmp((const char *)s->bytes, starts[i], n) == 0) return true;
    }
    return false;
}

/* Logits have no header, but a narrow range. Four letters, a space or a newline among them, a count
 * in a header, a pointer or a compressed stream soon give a number outside. */
static bool is_floats(const sample *s) {
    if (s->file_size % (off_t)sizeof(float) != 0) return false;
    for (size_t i = 0; i + sizeof(float) <= s->n; i += sizeof(float)) {
        float value;
        memcpy(&value, s->bytes + i, sizeof value);
        float size = fabsf(value);
        if (value != 0 && !(size > 1e-12f && size < 1e6f)) return false;
    }
    return true;
}

/* What `train` writes. */
static bool is_csv(const sample *s) { return s->n >= 5 && memcmp(s->bytes, "step,", 5) == 0; }

static bool is_svg(const sample *s) { return s->n >= 4 && memcmp(s->bytes, "<svg", 4) == 0; }

static const struct {
    const char *name;
    bool (*is)(const sample *s);
} kinds[FILE_END] = {
    [FILE_GGUF] = {"a GGUF file", is_gguf},
    [FILE_STATE] = {"a saved state", is_state},
    [FILE_HTML] = {"an HTML file", is_html},
    [FILE_FLOATS] = {"a file of float32 logits", is_floats},
    [FILE_CSV] = {"a table of losses", is_csv},
    [FILE_SVG] = {"an SVG file", is_svg},
};

/* True if a file of this kind is at the path. */
static bool is_of_kind(const char *path, flag_file kind) {
    sample s = {.n = 0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool good = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    s.file_size = good ? status.st_size : 0;
    ssize_t n = good ? read(fd, s.bytes, sizeof s.bytes) : -1;
    good = n >= 0;
    if (good) s.n = (size_t)n;
    close(fd);
    return good && kinds[kind].is(&s);
}

/* Nothing is lost if there is nothing, or no bytes, or a pipe, a terminal, /dev/null. A disk would
 * be lost. */
static bool nothing_is_lost(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) return true;
    return S_ISREG(status.st_mode) ? status.st_size == 0 : !S_ISBLK(status.st_mode);
}

/* ---- which files ---- */

typedef struct wanted { /* an output, as an option names it */
    const options *parsed;
    const char *name; /* "--html" */
    flag_file kind;
    const char *path;
} wanted;

/* PREFIX of "PREFIX-00001-of-00003.gguf", a part of a model in several files; 0 for other names. */
static size_t part_prefix(const char *name) {
    const char *of = strstr(name, "-of-");
    size_t digits = of ? strspn(of + 4, "0123456789") : 0;
    if (digits < 5 || (of[4 + digits] && of[4 + digits] != '.')) return 0;
    const char *first = of;
    while (first > name && first[-1] >= '0' && first[-1] <= '9') first--;
    return of - first >= 5 && first > name && first[-1] == '-' ? (size_t)(first - name) : 0;
}

static bool is_among(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

/* True if whoever reads the file `input` reads `other`, beside it, as well. */
static bool is_companion(const char *input, const char *other) {
    static const char *const halves[] = {"vocab.json", "merges.txt", "encoder.json", "vocab.bpe",
                                         NULL};
    size_t n = part_prefix(input);
    if (n) return part_prefix(other) == n && memcmp(input, other, n) == 0;
    return is_among(input, halves) && is_among(other, halves);
}

/* True if the path names a file that is read together with `input`: any file of a folder, by
 * whatever name and through whatever link, or a companion of a file. */
static bool is_beside(const char *path, const char *input) {
    struct stat status;
    char folder[4096], other[8192];
    const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input;
    bool whole = stat(input, &status) == 0 && S_ISDIR(status.st_mode);
    size_t length = whole ? strlen(input) : slash ? (size_t)(slash - input) + 1 : 0;
    if (stat(path, &status) != 0 || length >= sizeof folder) return false;
    snprintf(folder, sizeof folder, "%.*s", (int)length, length ? input : "");
    DIR *files = opendir(length ? folder : ".");
    bool found = false;
    for (struct dirent *file; files && !found && (file = readdir(files));) {
        snprintf(other, sizeof other, "%s%s%s", folder, whole ? "/" : "", file->d_name);
        found = (whole || is_companion(name, file->d_name)) && pf_file_is_same(path, other);
    }
    if (files) closedir(files);
    return found;
}

/* chat has no --force. */
static bool can_force(const wanted *out) {
    return (flags[FLAG_FORCE].commands & out->parsed->command) != 0;
}

static bool fail_input(const wanted *out, const char *input, bool in_place, pf_error *error) {
    return pf_fail(error, "%s %.200s is also read in this run, as %s; name another file%s",
                   out->name, out->path, input,
                   in_place && can_force(out) ? ", or add --force to replace it" : "");
}

static bool check_input(const wanted *out, const char *input, const char *path, pf_error *error) {
    bool itself = pf_file_is_same(out->path, path);
    if (!itself && !is_beside(out->path, path)) return true;
    if (nothing_is_lost(out->path)) return true; /* /dev/stdin and /dev/stdout at a terminal */
    /* What is a part of an input would no longer go with the rest of it. */
    bool in_place = itself && !part_prefix(path) && is_of_kind(out->path, out->kind);
    return (in_place && out->parsed->given[FLAG_FORCE]) || fail_input(out, input, in_place, error);
}

static bool is_stream(const char *path, int fd) {
    struct stat a, b;
    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && S_ISREG(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* /dev/stdout and /dev/fd/N ask for the stream itself. */
static bool check_streams(const wanted *out, pf_error *error) {
    if (strncmp(out->path, "/dev/", 5) == 0 || strncmp(out->path, "/proc/", 6) == 0) return true;
    bool reads = out->parsed->command != FOR_CONVERT;
    if (reads && is_stream(out->path, STDIN_FILENO))
        return fail_input(out, "standard input", false, error);
    if (!is_stream(out->path, STDOUT_FILENO) && !is_stream(out->path, STDERR_FILENO)) return true;
    return pf_fail(error,
                   "%s %.200s is also where standard output or standard error goes; name another "
                   "file, or /dev/stdout if you mean that",
                   out->name, out->path);
}

/* One value of an option that names files to read and may be given several times. */
static bool check_repeated(const wanted *out, const char *name, flag_id id, const char *text,
                           pf_error *error) {
    char path[LORA_PATH_SIZE];
    float scale;
    if (id == FLAG_LORA && lora_split(text, path, &scale, NULL)) text = path;
    return check_input(out, name, text, error);
}

static bool check_inputs(const wanted *out, pf_error *error) {
    const options *parsed = out->parsed;
    bool in_place = parsed->command == FOR_CONVERT && parsed->model &&
                    pf_file_is_same(out->path, parsed->model) && !part_prefix(parsed->model);
    if (parsed->model && !in_place && !check_input(out, "MODEL", parsed->model, error))
        return false;
    for (int id = 0; id < FLAG_END; id++) {
        char name[40];
        const flag *f = &flags[id];
        if (!parsed->given[id] || f->file != FILE_INPUT) continue;
        snprintf(name, sizeof name, "--%s", f->name);
        if (!f->repeats && !check_input(out, name, parsed->values[id].text, error)) return false;
        for (size_t i = 0; i < parsed->n_repeated; i++)
            if (parsed->repeated[i].id == (flag_id)id &&
                !check_repeated(out, name, (flag_id)id, parsed->repeated[i].text, error))
                return false;
    }
    return check_streams(out, error);
}

/* ---- checks ---- */

static bool check(const wanted *out, pf_error *error) {
    if (!*out->path) return pf_fail(error, "%s needs the name of a file", out->name);
    if (strcmp(out->path, "-") == 0)
        return pf_fail(error, "%s - names no file; for standard output give /dev/stdout",
                       out->name);
    if (!check_inputs(out, error)) return false;
    pf_error reason = {""};
    if (!pf_writer_can_open(out->path, &reason))
        return pf_fail(error, "%s: %s", out->name, reason.message);
    bool stream = is_stream(out->path, STDOUT_FILENO) || is_stream(out->path, STDERR_FILENO);
    if (out->parsed->given[FLAG_FORCE] || stream || nothing_is_lost(out->path) ||
        is_of_kind(out->path, out->kind))
        return true;
    return pf_fail(error, "%s %.200s would replace a file that is not %s; name another file%s",
                   out->name, out->path, kinds[out->kind].name,
                   can_force(out) ? ", or add --force" : "");
}

bool outputs_check_path(const options *parsed, const char *name, flag_file kind, const char *path,
                        pf_error *error) {
    return check(&(wanted){parsed, name, kind, path}, error);
}

/* Several outputs may go to /dev/null. */
static bool is_device(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static bool is_output(const options *parsed, int id) {
    return parsed->given[id] && flags[id].file > FILE_INPUT;
}

bool outputs_check(const options *parsed, pf_error *error) {
    for (int id = 0; id < FLAG_END; id++) {
        char name[40];
        if (!is_output(parsed, id)) continue;
        const char *path = parsed->values[id].text;
        for (int other = id + 1; other < FLAG_END; other++)
            if (is_output(parsed, other) && !is_device(path) &&
                pf_file_is_same(path, parsed->values[other].text))
                return pf_fail(error, "--%s and --%s name the same file; name two", flags[id].name,
                               flags[other].name);
        snprintf(name, sizeof name, "--%s", flags[id].name);
        if (!outputs_check_path(parsed, name, flags[id].file, path, error)) return false;
    }
    return true;
}
