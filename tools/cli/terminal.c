/* floor 5.2 - terminal: results to standard output, all else to standard error; signals.
 *
 * The only mutable globals are those that signal handlers use: all that such a handler can. */
#define _DEFAULT_SOURCE /* setitimer */
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
#include <sys/ioctl.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t catching, keeping, interrupted, remembered;
static volatile sig_atomic_t resumed, resized, marking;
static struct termios mode; /* of the terminal, if `remembered` */

/* One write per line, so that the lines of several programs do not run into each other. Safe in a
 * signal handler: no stdio. */
static void say_to(int descriptor, const char *text, size_t n) {
    while (n > 0) {
        ssize_t written = write(descriptor, text, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        n -= (size_t)written;
    }
}

static void say(const char *text, size_t n) { say_to(STDERR_FILENO, text, n); }

/* The terminal is to mark what is pasted, or no longer. */
static void say_marks(bool on) {
    const char *text = on ? "\x1b[?2004h" : "\x1b[?2004l";
    say_to(STDOUT_FILENO, text, strlen(text));
}

/* Gives the terminal back as it was. */
static void restore_mode(void) {
    if (marking) say_marks(false);
    if (remembered) tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

static void end_by(int signal_number) {
    pf_writer_remove_all_temporaries();
    restore_mode();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Whoever sends SIGTERM or SIGHUP sends it once. If nobody looks at the flag for so long, the
 * program is at something that cannot stop half-way, and ends at once. */
enum { GRACE_SECONDS = 10 };

static void on_signal(int signal_number) {
    bool first = catching && !interrupted;
    if (first || (signal_number == SIGINT && keeping)) {
        interrupted = signal_number;
        if (signal_number != SIGINT) alarm(GRACE_SECONDS);
        return;
    }
    end_by(signal_number);
}

static bool is_to_end(void) { return interrupted == SIGTERM || interrupted == SIGHUP; }

static const char *volatile reading = "a file"; /* the name of the mapped file */

void terminal_reading(const char *path) { reading = path; }

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
    restore_mode();
    _exit(EXIT_FAILED);
}

static void on_alarm(int signal_number); /* for progress, and for a program that is to end */

void terminal_start(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    action.sa_flags = 0; /* whoever asks a program to end asks once: what blocks returns */
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    bool keeps_on = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
    if (!keeps_on) sigaction(SIGHUP, &action, NULL); /* nohup has it ignored */
    struct sigaction timer = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigemptyset(&timer.sa_mask);
    sigaction(SIGALRM, &timer, NULL);
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

/* Ctrl-Z: stops here, as it would without a handler, but with the terminal restored. */
static void on_stop(int signal_number) {
    int kept = errno;
    restore_mode();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
    resumed = 1;
    errno = kept;
}

static void on_change(int signal_number) {
    if (signal_number == SIGCONT) resumed = 1;
    if (signal_number == SIGWINCH) resized = 1;
}

void terminal_remember_mode(void) {
    if (tcgetattr(STDIN_FILENO, &mode) != 0) return;
    remembered = 1;
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_NODEFER};
    sigemptyset(&stop.sa_mask);
    sigaction(SIGTSTP, &stop, NULL);
    struct sigaction change = {.sa_handler = on_change};
    sigemptyset(&change.sa_mask);
    sigaction(SIGCONT, &change, NULL);
    sigaction(SIGWINCH, &change, NULL);
}

static bool take(volatile sig_atomic_t *signalled) {
    bool was = *signalled;
    *signalled = 0;
    return was;
}

bool terminal_resumed(void) { return take(&resumed); }
bool terminal_resized(void) { return take(&resized); }

void terminal_mark_pastes(bool on) {
    marking = on;
    fflush(stdout);
    say_marks(on);
}

size_t terminal_columns(void) {
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

void terminal_catch_interrupt(void) { catching = 1; }

bool terminal_interrupted(void) {
    if (is_to_end()) alarm(0); /* the flag is seen: what follows may take its time */
    return interrupted;
}

int terminal_status(int status) { return is_to_end() ? 128 + interrupted : status; }

/* A message may quote a file, whose bytes are not to command the terminal: ESC and its like, also
 * those of two bytes (U+0080 to U+009F), become question marks. */
static void make_plain(char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        bool two = c == 0xC2 && next >= 0x80 && next < 0xA0;
        if (two || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) text[i] = '?';
        if (two) text[++i] = '?';
    }
}

/* Says start, the message and end; what does not fit is cut, but never the end. */
static void say_line(const char *start, const char *end, const char *format, va_list arguments) {
    char line[16384];
    size_t room = sizeof line - strlen(end);
    int n = snprintf(line, room, "%s", start);
    size_t used = n > 0 ? (size_t)n : 0;
    if (used >= room) used = room - 1;
    n = vsnprintf(line + used, room - used, format, arguments);
    size_t begin = used;
    used = n > 0 && (size_t)n >= room - used ? room - 1 : used + (n > 0 ? (size_t)n : 0);
    make_plain(line + begin, used - begin);
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

int note_partly(const options *parsed, int status) {
    note(parsed, "performer: interrupted; only what was measured before is shown");
    return status == EXIT_DONE ? EXIT_INTERRUPTED : status;
}

void note_json(json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text) say_message("", "%s", text);
    free(text);
}

/* ---- progress ---- */

enum { PROGRESS_SECONDS = 10, PROGRESS_SIZE = 160 };

/* The latest text for a log is the one that `latest` points to: the other is free to write to while
 * the timer's signal may come at any time. `counting`: the timer runs. */
static char progress_texts[2][PROGRESS_SIZE];
static const char *volatile latest;
static volatile sig_atomic_t counting, progress_ticks;

/* Prints the latest text and how long the program has been at work, in one write. */
static void on_alarm(int signal_number) {
    static const char prefix[] = "performer: ";
    char line[PROGRESS_SIZE + 64], digits[16];
    size_t used = 0, n = 0;
    const char *text = latest;
    int before = errno;
    (void)signal_number;
    if (is_to_end()) end_by(interrupted);
    progress_ticks++;
    if (!text || !*text) return;
    for (const char *at = prefix; *at; at++) line[used++] = *at;
    for (const char *at = text; *at && used < PROGRESS_SIZE + 16; at++) line[used++] = *at;
    for (int s = progress_ticks * PROGRESS_SECONDS; s > 0 && n < sizeof digits; s /= 10)
        digits[n++] = (char)('0' + s % 10);
    line[used++] = ' ';
    line[used++] = '(';
    while (n > 0) line[used++] = digits[--n];
    for (const char *at = " s)\n"; *at; at++) line[used++] = *at;
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
    errno = before;
}

static void start_progress_timer(void) {
    struct itimerval timer = {{.tv_sec = PROGRESS_SECONDS}, {.tv_sec = PROGRESS_SECONDS}};
    setitimer(ITIMER_REAL, &timer, NULL);
    counting = 1;
}

static void show_progress(bool terminal, const char *before, const char *format,
                          va_list arguments) {
    if (terminal) {
        char start[96];
        snprintf(start, sizeof start, "\r\x1b[K%s", before);
        say_line(start, "", format, arguments);
        return;
    }
    char *text = progress_texts[latest == progress_texts[0]];
    int n = snprintf(text, PROGRESS_SIZE, "%s", before);
    vsnprintf(text + n, PROGRESS_SIZE - (size_t)n, format, arguments);
    latest = text;
    if (!counting && !is_to_end()) start_progress_timer();
}

void progress(const options *parsed, const char *format, ...) {
    if (parsed->given[FLAG_QUIET]) return;
    va_list arguments;
    va_start(arguments, format);
    show_progress(isatty(STDERR_FILENO), "", format, arguments);
    va_end(arguments);
}

void progress_bar(const options *parsed, double done, const char *format, ...) {
    static const char bar[] = "##############################";
    int width = (int)sizeof bar - 1, full = (int)(done * width);
    bool terminal = isatty(STDERR_FILENO);
    char before[64];
    if (parsed->given[FLAG_QUIET]) return;
    if (terminal)
        snprintf(before, sizeof before, "[%.*s%*s] %3.0f %%, ", full, bar, width - full, "",
                 100 * done);
    else
        snprintf(before, sizeof before, "%.0f %%, ", 100 * done);
    va_list arguments;
    va_start(arguments, format);
    show_progress(terminal, before, format, arguments);
    va_end(arguments);
}

/* ---- standard output ---- */

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
    if (out->failure == EINTR && interrupted) return EXIT_INTERRUPTED;
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
