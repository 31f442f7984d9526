/* The crash slot: who may fill it, who waits, and what is in it. Each scenario crashes in a child of its own,
 * whose slot lies in shared memory. */
#include "agent/life/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/dispositions.h"
#include "agent/life/futex.h"
#include "tests/agent/check.h"

static struct crash_slot *slot;
static uint32_t here = 1;

/* Does what the flusher does with the slot, but write a file. */
static void *act_as_flusher(void *unused)
{
    for (;;) {
        uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
        if (state == CRASH_FILLED && __atomic_compare_exchange_n(&slot->state, &state, CRASH_WRITTEN, false,
                                                                 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            futex_wake_all(&slot->state);
        uint32_t calls = __atomic_load_n(&agent.flusher_calls, __ATOMIC_ACQUIRE);
        __atomic_store_n(&agent.flusher_sleeps, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) != CRASH_FILLED)
            futex_wait(&agent.flusher_calls, calls, 1000000);
    }
    return unused;
}

static void start_flusher(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, act_as_flusher, NULL) == 0);
}

/* Not in C, where a sanitizer would find it first. */
static void divide(void)
{
    __asm__ volatile("xorl %%ecx, %%ecx\n\t"
                     "idivl %%ecx"
                     :
                     :
                     : "rax", "rcx", "rdx", "cc");
}

/* Runs a scenario in a child; returns its wait status. */
static int run(void scenario(void))
{
    memset(slot, 0, sizeof *slot);
    pid_t child = fork();
    if (child == 0) {
        agent.state = AGENT_RUNNING;
        agent.here = &here;
        crash_open(slot);
        crash_watch();
        scenario();
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void crash(void)
{
    start_flusher();
    prctl(PR_SET_NAME, "a name");
    divide();
}

static void test_one_crash(void)
{
    CHECK_EQUAL(WTERMSIG(run(crash)), SIGFPE);
    CHECK_EQUAL(slot->state, CRASH_WRITTEN);
    CHECK_EQUAL(slot->number, 1);
    CHECK_EQUAL(slot->flags, CRASH_HAS_FXSAVE);
    CHECK_EQUAL(slot->signal, SIGFPE);
    CHECK_EQUAL(slot->code, FPE_INTDIV);
    CHECK_EQUAL(slot->fault_address, slot->general[16]);
    CHECK(strcmp(slot->thread_name, "a name") == 0);
    CHECK(slot->general[7] != 0 && slot->fs_base != 0 && slot->realtime_ns > slot->monotonic_ns);
}

static void test_no_flusher(void)
{
    CHECK_EQUAL(WTERMSIG(run(divide)), SIGFPE);
    CHECK_EQUAL(slot->state, CRASH_FILLED);
    CHECK_EQUAL(slot->signal, SIGFPE);
}

static void not_running(void)
{
    agent.state = AGENT_STARTING;
    divide();
}

static void forked(void)
{
    start_flusher();
    pid_t child = fork();
    if (child == 0)
        divide();
    int status = -1;
    waitpid(child, &status, 0);
    _exit(status == SIGFPE && slot->state == CRASH_NONE ? 0 : 1);
}

/* Past libc, so that nobody told the agent. */
static void forked_secretly(void)
{
    start_flusher();
    pid_t child = (pid_t)sys_call3(SYS_fork, 0, 0, 0);
    if (child == 0)
        divide();
    int status = -1;
    waitpid(child, &status, 0);
    _exit((status & 0x7f) == SIGFPE && slot->state == CRASH_NONE ? 0 : 1);
}

static void test_nothing_to_record(void)
{
    CHECK_EQUAL(WTERMSIG(run(not_running)), SIGFPE);
    CHECK_EQUAL(slot->state, CRASH_NONE);
    CHECK_EQUAL(run(forked), 0);
    CHECK_EQUAL(run(forked_secretly), 0);
}

static pthread_barrier_t barrier;

static void *crash_at_once(void *unused)
{
    pthread_barrier_wait(&barrier);
    divide();
    return unused;
}

static void crash_in_many_threads(void)
{
    pthread_t thread;
    start_flusher();
    pthread_barrier_init(&barrier, NULL, 9);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&thread, NULL, crash_at_once, NULL) == 0);
    crash_at_once(NULL);
}

static void test_the_first_counts(void)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(WTERMSIG(run(crash_in_many_threads)), SIGFPE);
        CHECK_EQUAL(slot->state, CRASH_WRITTEN);
        CHECK_EQUAL(slot->number, 1);
    }
}

static uint32_t seen_state, seen_flags;

static void on_signal(int signal)
{
    (void)signal;
    seen_state = slot->state;
    seen_flags = slot->flags;
}

/* As the program's sigaction() does; that of a sanitizer may come before ours here. */
static void choose(sighandler_t handler)
{
    const struct sigaction action = {.sa_handler = handler};
    CHECK(disposition_set(SIGFPE, &action, NULL) == 0);
}

static void handle_many(void)
{
    start_flusher();
    choose(on_signal);
    raise(SIGFPE);
    if (seen_state != CRASH_WRITTEN || (seen_flags & CRASH_HANDLED) == 0 || slot->state != CRASH_NONE)
        _exit(1);
    for (int i = 0; i < 99; i++)
        raise(SIGFPE);
    _exit(slot->state == CRASH_NONE ? 0 : 2);
}

static void handle_many_then_crash(void)
{
    start_flusher();
    choose(on_signal);
    for (int i = 0; i < 99; i++)
        raise(SIGFPE);
    choose(SIG_DFL);
    divide();
}

static void test_what_is_handled_is_recorded_some_times(void)
{
    CHECK_EQUAL(run(handle_many), 0);
    CHECK_EQUAL(slot->number, 16);
    CHECK_EQUAL(WTERMSIG(run(handle_many_then_crash)), SIGFPE);
    CHECK_EQUAL(slot->state, CRASH_WRITTEN);
    CHECK_EQUAL(slot->number, 17);
    CHECK_EQUAL(slot->flags & CRASH_HANDLED, 0);
}

int main(void)
{
    choose(SIG_DFL); /* a sanitizer has a handler for it */
    slot = mmap(NULL, sizeof *slot, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(slot != MAP_FAILED);
    test_one_crash();
    test_no_flusher();
    test_nothing_to_record();
    test_the_first_counts();
    test_what_is_handled_is_recorded_some_times();
    return 0;
}
