#include "agent/life/dispositions.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/interpose/real.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/record/arch.h"
#include "agent/record/layout.h"

#define KERNEL_SIGSET_BYTES 8
#define SPINS_BEFORE_YIELD 100

static const int crash_signals[] = {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGSYS};
enum { CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };

/* What the program chose, as libc's sigaction() would tell it. Two places, so that a handler that interrupts
 * the writer, or a child forked at that moment, always finds a whole one. */
static struct choice {
    uint32_t generation; /* its lowest bit says which place counts */
    struct sigaction place[2];
} choices[CRASH_SIGNALS];

/* In memory that a forked child finds zeroed: another thread's hold is not the child's. */
static struct holder {
    uint32_t tid; /* 0: nobody */
    uint32_t pid; /* whose dispositions these are */
} *holder;

static void (*front)(int, siginfo_t *, void *); /* our handler; NULL: not in place yet */

static uint64_t restorer; /* libc's, which it gives to all */

typedef int sigaction_function(int, const struct sigaction *, struct sigaction *);
static void *real_sigaction_place;

static int real_sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return ((sigaction_function *)real_once(&real_sigaction_place, "sigaction"))(signal, action, old);
}

static int index_of(int signal)
{
    for (int i = 0; i < CRASH_SIGNALS; i++)
        if (crash_signals[i] == signal)
            return i;
    return -1;
}

bool disposition_is_crash(int signal)
{
    return index_of(signal) >= 0;
}

bool dispositions_prepare(void)
{
    real_once(&real_sigaction_place, "sigaction");
    struct holder *page = memory_get(CALLTRACE_PAGE);
    if (page == NULL)
        return false;
    sys_madvise(page, CALLTRACE_PAGE, MADV_DOFORK);
    if (sys_madvise(page, CALLTRACE_PAGE, MADV_WIPEONFORK) < 0)
        return false;
    page->pid = (uint32_t)sys_call3(SYS_getpid, 0, 0, 0);
    holder = page;
    return true;
}

void dispositions_forked(void)
{
    if (holder != NULL)
        holder->pid = (uint32_t)sys_call3(SYS_getpid, 0, 0, 0);
}

/* In a child made by vfork, memory is the parent's. */
static bool is_shared(void)
{
    uint32_t pid = (uint32_t)sys_call3(SYS_getpid, 0, 0, 0);
    if (holder->pid == 0) /* made by fork, past libc */
        holder->pid = pid;
    return holder->pid != pid;
}

static uint64_t change_mask(int how, uint64_t mask)
{
    uint64_t before = 0;
    sys_call6(SYS_rt_sigprocmask, how, (long)&mask, (long)&before, KERNEL_SIGSET_BYTES, 0, 0);
    return before;
}

/* Returns false where this thread holds already: a handler has interrupted it. */
static bool hold(void)
{
    uint32_t tid = (uint32_t)sys_call3(SYS_gettid, 0, 0, 0);
    for (uint32_t i = 1;; i++) {
        uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&holder->tid, &nobody, tid, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
        if (nobody == tid)
            return false;
        if (i % SPINS_BEFORE_YIELD == 0)
            sys_call3(SYS_sched_yield, 0, 0, 0);
        else
            arch_relax();
    }
}

static void let_go(bool held)
{
    if (held)
        __atomic_store_n(&holder->tid, 0, __ATOMIC_RELEASE);
}

static void read_choice(int index, struct sigaction *action)
{
    struct choice *choice = &choices[index];
    uint32_t generation;
    do {
        generation = __atomic_load_n(&choice->generation, __ATOMIC_ACQUIRE);
        *action = choice->place[generation & 1];
        /* Adds nothing: but what is read above is read before. */
    } while (__atomic_fetch_add(&choice->generation, 0, __ATOMIC_ACQ_REL) != generation);
}

static void write_choice(int index, const struct sigaction *action)
{
    struct choice *choice = &choices[index];
    uint32_t next = choice->generation + 1;
    choice->place[next & 1] = *action;
    __atomic_store_n(&choice->generation, next, __ATOMIC_RELEASE);
}

/* Gives the kernel what it had, past libc, which would add to it. */
static void put_back(int signal, const struct sigaction *action)
{
    struct {
        uint64_t handler, flags, restorer, mask;
    } kernel = {
        .handler = (uint64_t)(uintptr_t)action->sa_sigaction,
        .flags = (uint32_t)action->sa_flags,
        .restorer = (uint64_t)(uintptr_t)action->sa_restorer,
    };
    memcpy(&kernel.mask, &action->sa_mask, sizeof kernel.mask);
    sys_call6(SYS_rt_sigaction, signal, (long)&kernel, 0, KERNEL_SIGSET_BYTES, 0, 0);
}

static bool is_front(const struct sigaction *action)
{
    return front != NULL && action->sa_sigaction == front;
}

/* The kernel has what the program chose: remembers that, and puts ours in front. */
static void take_over(int index)
{
    int signal = crash_signals[index];
    struct sigaction action;
    if (front == NULL || real_sigaction(signal, NULL, &action) != 0 || is_front(&action))
        return;
    if (action.sa_handler == SIG_IGN)
        return;
    write_choice(index, &action);
    if (action.sa_handler == SIG_DFL) {
        action.sa_flags = 0;
        sigemptyset(&action.sa_mask);
    }
    action.sa_sigaction = front;
    action.sa_flags |= SA_SIGINFO | SA_ONSTACK;
    action.sa_flags &= ~SA_RESETHAND;
    real_sigaction(signal, &action, NULL);
    if (restorer == 0 && real_sigaction(signal, NULL, &action) == 0)
        restorer = (uint64_t)(uintptr_t)action.sa_restorer;
}

void dispositions_install(void (*handler)(int, siginfo_t *, void *))
{
    bool held = hold();
    front = handler;
    for (int i = 0; i < CRASH_SIGNALS; i++)
        take_over(i);
    let_go(held);
}

/* What the program is to be told: `action` is what the kernel has. */
static void show_choice(int index, struct sigaction *action)
{
    if (is_front(action))
        read_choice(index, action);
}

int disposition_set(int signal, const struct sigaction *action, struct sigaction *old)
{
    int index = index_of(signal);
    if (index < 0 || holder == NULL)
        return real_sigaction(signal, action, old);
    /* The program's memory is touched outside: it may not be there. */
    struct sigaction wanted, before;
    if (action != NULL)
        wanted = *action;
    uint64_t mask = change_mask(SIG_SETMASK, UINT64_MAX);
    bool shared = is_shared();
    bool held = !shared && hold();
    int status = real_sigaction(signal, action != NULL ? &wanted : NULL, &before);
    if (status == 0) {
        show_choice(index, &before);
        if (action != NULL && !shared)
            take_over(index);
    }
    let_go(held);
    change_mask(SIG_SETMASK, mask);
    if (status == 0 && old != NULL)
        *old = before;
    return status;
}

struct disposition_change disposition_begin(int signal)
{
    struct disposition_change change = {.signal = 0};
    int index = index_of(signal);
    if (index < 0 || holder == NULL)
        return change;
    change.signal = signal;
    /* The signal itself stays as it is: sigset() changes and tells whether it is blocked. */
    change.mask = change_mask(SIG_BLOCK, ~(1ull << (signal - 1)));
    change.shared = is_shared();
    change.held = !change.shared && hold();
    struct sigaction action;
    if (real_sigaction(signal, NULL, &action) == 0 && is_front(&action)) {
        read_choice(index, &action);
        put_back(signal, &action);
    }
    return change;
}

void disposition_end(const struct disposition_change *change)
{
    if (change->signal == 0)
        return;
    if (!change->shared)
        take_over(index_of(change->signal));
    let_go(change->held);
    uint64_t bit = 1ull << (change->signal - 1);
    uint64_t now = change_mask(SIG_BLOCK, 0);
    change_mask(SIG_SETMASK, (change->mask & ~bit) | (now & bit));
}

struct disposition disposition_of(int signal)
{
    struct sigaction action;
    read_choice(index_of(signal), &action);
    return (struct disposition){action.sa_sigaction, action.sa_flags};
}

void disposition_reset(int signal)
{
    if (is_shared()) {
        disposition_restore_default(signal);
        return;
    }
    bool held = hold();
    struct sigaction action;
    read_choice(index_of(signal), &action);
    action.sa_handler = SIG_DFL;
    put_back(signal, &action);
    take_over(index_of(signal));
    let_go(held);
}

void disposition_restore_default(int signal)
{
    const struct sigaction none = {.sa_handler = SIG_DFL};
    put_back(signal, &none);
}

uint64_t disposition_restorer(void)
{
    return restorer;
}
