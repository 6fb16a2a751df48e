/* floor 5.0 - address space: a sentence where OpenBLAS would wait for ever for its buffers.
 *
 * OpenBLAS asks for 128 MB of address space per thread in its constructor, which runs before main,
 * and where the system refuses it asks again without end. How much it needs depends on its version,
 * on the processor and on OMP_NUM_THREADS, so this does not guess: functions in .preinit_array run
 * before the constructors of all libraries, and ours sets a timer that only start-up can miss. */
#define _DEFAULT_SOURCE /* setitimer */
#include "address_space.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t waiting; /* the timer is ours, and runs */

/* Starting takes about 0.01 s of processor time. */
static void set_timer(int seconds) {
    struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

/* In a signal handler, before the libraries have started: no stdio. */
static void give_up(int signal_number) {
    static const char text[] =
        "performer: the limit on address space (ulimit -v) leaves OpenBLAS no room for its "
        "buffers, about 128 MB per thread; raise the limit, or set OMP_NUM_THREADS=1\n";
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(1);
}

static void before_libraries(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    waiting = 1;
    signal(SIGPROF, give_up);
    set_timer(1);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before)(void) = before_libraries;

void address_space_suffices(void) {
    if (!waiting) return; /* the timer may be a profiler's */
    set_timer(0);
    signal(SIGPROF, SIG_DFL);
}
