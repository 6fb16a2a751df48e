/* floor 6.0 - bench of the first token: from the start of the process to the first byte of text.
 *
 *   cc -O2 -o build/bench_first_token tests/bench_first_token.c -lutil
 *   build/bench_first_token 21 ./performer generate MODEL -n 1 -t 0
 *
 * Runs the command that many times with a terminal as standard output, so that text comes as it is
 * written, and prints the median and the best in milliseconds, to the first byte and to the end. */
#define _DEFAULT_SOURCE
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000 };

static double milliseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int once(char **command, double *first, double *end) {
    char bytes[4096];
    int terminal, status;
    double start = milliseconds_now();
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    if (child < 0) return 1;
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(126);
        execvp(command[0], command);
        _exit(127);
    }
    *first = 0;
    while (read(terminal, bytes, sizeof bytes) > 0)
        if (*first == 0) *first = milliseconds_now() - start;
    if (waitpid(child, &status, 0) != child) return 1;
    *end = milliseconds_now() - start;
    close(terminal);
    return !WIFEXITED(status) || WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    double first[MOST], end[MOST];
    int n = argc > 2 ? atoi(argv[1]) : 0;
    if (n < 1 || n > MOST) return fputs("usage: bench_first_token ROUNDS COMMAND...\n", stderr), 2;
    for (int i = 0; i < n; i++)
        if (once(argv + 2, &first[i], &end[i])) return fputs("the command failed\n", stderr), 1;
    qsort(first, (size_t)n, sizeof *first, compare);
    qsort(end, (size_t)n, sizeof *end, compare);
    printf("first byte %.1f ms (best %.1f), end %.1f ms (best %.1f), %d rounds\n", first[n / 2],
           first[0], end[n / 2], end[0], n);
    return 0;
}
