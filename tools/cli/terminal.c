/* floor 5.2 - terminal: results to standard output, all else to standard error; signals.
 *
 * The variables below are the only mutable globals here: all that a signal handler can use. */
#define _POSIX_C_SOURCE 200809L
#include "terminal.h"

#include "file.h"
#include "memory.h"
#include "utf8.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t catching, keeping, interrupted, remembered;
static struct termios mode; /* of the terminal, if `remembered` */

static void on_signal(int signal_number) {
    if (signal_number == SIGINT && (keeping || (catching && !interrupted))) {
        interrupted = 1;
        return;
    }
    pf_writer_remove_all_temporaries();
    if (remembered) tcsetattr(STDIN_FILENO, TCSANOW, &mode);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static const char *volatile reading = "a file"; /* the name of the mapped file */

void terminal_reading(const char *path) { reading = path; }

/* One write per line, so that the lines of several programs do not run into each other. Safe in a
 * signal handler: no stdio. */
static void say(const char *text, size_t n) {
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        n -= (size_t)written;
    }
}

/* A page of the mapped file has gone: the file was truncated, or its disk has failed. */
static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number;
    (void)context;
    const char *parts[] = {"performer: ", info->si_code == BUS_ADRERR ? reading : "memory",
                           " became unreadable while in use; was it overwritten or truncated? To "
                           "replace a file in use, rename the new version over it\n"};
    char line[4096];
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *at = parts[i]; *at && used < sizeof line; at++) line[used++] = *at;
    say(line, used);
    pf_writer_remove_all_temporaries();
    if (remembered) tcsetattr(STDIN_FILENO, TCSANOW, &mode);
    _exit(EXIT_FAILED);
}

void terminal_start(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* exceeding the file size limit is a write error, too */
    struct sigaction bus = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&bus.sa_mask);
    sigaction(SIGBUS, &bus, NULL);
}

void terminal_keep_interrupts(void) {
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: reads return */
    sigemptyset(&action.sa_mask);
    keeping = 1;
    sigaction(SIGINT, &action, NULL);
}

void terminal_forget_interrupt(void) { interrupted = 0; }

void terminal_remember_mode(void) {
    if (tcgetattr(STDIN_FILENO, &mode) == 0) remembered = 1;
}

void terminal_catch_interrupt(void) { catching = 1; }

bool terminal_interrupted(void) { return interrupted; }

/* Says start, the message and end; what does not fit is cut, but never the end. */
static void say_line(const char *start, const char *end, const char *format, va_list arguments) {
    char line[16384];
    size_t room = sizeof line - strlen(end);
    int n = snprintf(line, room, "%s", start);
    size_t used = n > 0 ? (size_t)n : 0;
    if (used >= room) used = room - 1;
    n = vsnprintf(line + used, room - used, format, arguments);
    used = n > 0 && (size_t)n >= room - used ? room - 1 : used + (n > 0 ? (size_t)n : 0);
    memcpy(line + used, end, strlen(end));
    say(line, used + strlen(end));
}

static void say_message(const char *start, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say_message(const char *start, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_line(start, "\n", format, arguments);
    va_end(arguments);
}

int complain(const pf_error *error) {
    say_message("performer: ", "%s", error->message);
    return EXIT_FAILED;
}

int complain_usage(const char *command, const char *format, ...) {
    char start[64];
    va_list arguments;
    snprintf(start, sizeof start, "performer %s: ", command);
    va_start(arguments, format);
    say_line(start, "\n", format, arguments);
    va_end(arguments);
    return EXIT_USAGE;
}

void note(const options *parsed, const char *format, ...) {
    if (parsed->given[FLAG_QUIET]) return;
    va_list arguments;
    va_start(arguments, format);
    say_line("", "\n", format, arguments);
    va_end(arguments);
}

void note_json(json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text) say_message("", "%s", text);
    free(text);
}

void progress(const options *parsed, const char *format, ...) {
    if (parsed->given[FLAG_QUIET] || !isatty(STDERR_FILENO)) return;
    va_list arguments;
    va_start(arguments, format);
    say_line("\r\x1b[K", "", format, arguments);
    va_end(arguments);
}

bool output_is_terminal(void) { return isatty(STDOUT_FILENO); }

bool output_write(output *out, const char *bytes, size_t n) {
    if (out->failure) return false;
    if (fwrite(bytes, 1, n, stdout) == n && (!out->unbuffered || fflush(stdout) == 0)) return true;
    out->failure = errno ? errno : EIO;
    return false;
}

bool output_printf(output *out, const char *format, ...) {
    if (out->failure) return false;
    va_list arguments;
    va_start(arguments, format);
    if (vprintf(format, arguments) < 0) out->failure = errno ? errno : EIO;
    va_end(arguments);
    return !out->failure;
}

bool output_json(output *out, json_t *json) {
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (text)
        output_printf(out, "%s\n", text);
    else
        out->failure = ENOMEM;
    free(text);
    return !out->failure;
}

int output_finish(output *out) {
    if (fflush(stdout) != 0 && !out->failure) out->failure = errno ? errno : EIO;
    if (!out->failure || out->failure == EPIPE) return EXIT_DONE;
    say_message("performer: ", "cannot write to standard output: %s", strerror(out->failure));
    return EXIT_FAILED;
}

json_t *json_text(const char *bytes, size_t n) {
    size_t room;
    char *clean = pf_mul_size(n, 3, &room) ? pf_calloc(room, 1, "a text", NULL) : NULL;
    if (!clean) return NULL;
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        pf_utf8 c = pf_utf8_next(bytes + i, n - i);
        size_t size = c.valid ? c.size : 3;
        memcpy(clean + used, c.valid ? bytes + i : "\xEF\xBF\xBD", size);
        used += size;
        i += c.valid ? c.size : 1;
    }
    json_t *text = json_stringn(clean, used);
    pf_free(clean);
    return text;
}
