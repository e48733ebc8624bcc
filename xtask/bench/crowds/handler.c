/* Measures the least time that a signal handler takes if it has the kernel copy its thread's stack.
   gmr's handler is compared with this. THREADS threads compute. In each of ROUNDS rounds, all are
   signalled at once, and each copies BYTES of its own stack. If LOOKED is not 0, it asks before how
   many of the pages in so many bytes are in memory, as gmr's handler does. Between the rounds, the
   main thread pauses and uses other memory, as a report does between its captures: without that, the
   code of the kernel and of the handler is in the processors' caches. Prints a line for each answer,
   as `crowd` does: NANOSECONDS:OF PROCESSOR TIME:BYTES. Each thread is about thirty functions deep. */

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct answer {
    uint64_t took, computed;
};

static atomic_size_t started, answered;
static size_t bytes, looked;
static char *copies;
static struct answer *answers;
static pid_t *tids;

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The clocks are read as gmr's handler reads them in its measuring build. */
static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    uint64_t computed = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    uint64_t took = nanoseconds(CLOCK_MONOTONIC);
    char *to = copies + (uintptr_t)info->si_value.sival_ptr * bytes;
    char *from = __builtin_frame_address(0);
    if (looked) {
        unsigned char states[64];
        mincore((void *)((uintptr_t)from & ~(uintptr_t)4095), looked, states);
    }
    struct iovec local = {to, bytes}, remote = {from, bytes};
    syscall(SYS_process_vm_readv, (pid_t)syscall(SYS_gettid), &local, 1, &remote, 1, 0);
    took = nanoseconds(CLOCK_MONOTONIC) - took;
    computed = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - computed;
    answers[atomic_fetch_add(&answered, 1)] = (struct answer){took, computed};
}

static __attribute__((noinline)) void compute(int depth) {
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth)
        compute(depth - 1);
    else
        for (;;)
            frame[1]++;
    frame[1] = 0; /* so that no call is the last thing that a function does */
}

static void *start(void *number) {
    tids[(uintptr_t)number] = (pid_t)syscall(SYS_gettid);
    atomic_fetch_add(&started, 1);
    compute(28);
    return NULL;
}

static void until(atomic_size_t *counter, size_t number) {
    const struct timespec pause = {.tv_nsec = 200000};
    while (atomic_load(counter) < number)
        nanosleep(&pause, NULL);
}

/* What a report of few threads takes, and the memory that it uses. */
static void work_on_something_else(void) {
    static volatile char memory[4 << 20];
    const struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
    for (size_t at = 0; at < sizeof memory; at += 64)
        memory[at]++;
}

int main(int argc, char **arguments) {
    if (argc != 5)
        return fprintf(stderr, "usage: handler THREADS ROUNDS BYTES LOOKED\n"), 2;
    size_t threads = strtoul(arguments[1], NULL, 10), rounds = strtoul(arguments[2], NULL, 10);
    bytes = strtoul(arguments[3], NULL, 10), looked = strtoul(arguments[4], NULL, 10);
    if (looked > 64 * 4096)
        return fprintf(stderr, "LOOKED: at most 64 pages\n"), 2;
    copies = malloc(threads * bytes);
    tids = calloc(threads, sizeof *tids);
    answers = calloc(threads * rounds, sizeof *answers);
    if (!copies || !tids || !answers)
        return perror("memory"), 1;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGRTMIN, &action, NULL);
    for (uintptr_t number = 0; number < threads; number++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, start, (void *)number))
            return perror("a thread"), 1;
    }
    until(&started, threads);
    for (size_t round = 0; round < rounds; round++) {
        work_on_something_else();
        for (uintptr_t number = 0; number < threads; number++) {
            siginfo_t info = {.si_code = SI_QUEUE};
            info.si_pid = getpid(), info.si_uid = getuid(), info.si_value.sival_ptr = (void *)number;
            syscall(SYS_rt_tgsigqueueinfo, getpid(), tids[number], SIGRTMIN, &info);
        }
        until(&answered, threads * (round + 1));
    }
    for (size_t index = 0; index < threads * rounds; index++)
        printf("%llu:%llu:%zu\n", (unsigned long long)answers[index].took,
               (unsigned long long)answers[index].computed, bytes);
    return 0;
}
