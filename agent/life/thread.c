#include "agent/life/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "agent/life/agent.h"
#include "agent/life/altstack.h"
#include "agent/life/complaint.h"
#include "agent/life/crash.h"
#include "agent/life/futex.h"
#include "agent/life/sys.h"
#include "agent/record/arch.h"
#include "agent/record/capture.h"
#include "agent/record/clock.h"
#include "agent/record/record.h"

/* Other thread-specific data may have destructors that make instrumented calls; libc runs all of them up
 * to this many times, so ours asks to come again until the last round. */
#ifdef CALLTRACE_PTHREAD_FLUSHER
#define DESTRUCTOR_ROUNDS 2 /* in the last round a sanitizer's runtime has let go of the thread */
#else
#define DESTRUCTOR_ROUNDS 4
#endif
#define KERNEL_SIGSET_BYTES 8
#define LARGEST_STACK (64ull << 30)

struct producer thread_unattached;
_Thread_local uint32_t thread_creator_tid;

static pthread_key_t end_key;
static _Thread_local int end_rounds;

static uint64_t block_signals(void)
{
    uint64_t all = UINT64_MAX, before = 0;
    sys_call6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, KERNEL_SIGSET_BYTES, 0, 0);
    return before;
}

static void restore_signals(uint64_t before)
{
    sys_call6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, KERNEL_SIGSET_BYTES, 0, 0);
}

/* An address above all frames of this thread's own stack: libc puts a thread's block at the top of its
 * stack, and main's stack begins below the environment. */
static uint64_t stack_base_above(uint64_t stack_pointer)
{
    uint64_t candidates[] = {agent.main_stack_top, arch_thread_pointer()};
    uint64_t base = stack_pointer;
    uint64_t nearest = LARGEST_STACK;
    for (int i = 0; i < 2; i++) {
        uint64_t distance = candidates[i] - stack_pointer;
        if (candidates[i] > stack_pointer && distance < nearest) {
            nearest = distance;
            base = candidates[i];
        }
    }
    return base & ~15ull;
}

static void send_request(struct attach_request *request)
{
    struct attach_request *newest = __atomic_load_n(&agent.requests, __ATOMIC_RELAXED);
    do {
        request->next = newest;
    } while (!__atomic_compare_exchange_n(&agent.requests, &newest, request, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    agent_wake_flusher();
    while (__atomic_load_n(&request->done, __ATOMIC_ACQUIRE) == 0)
        futex_wait(&request->done, 0, 0);
}

void thread_ask(struct attach_request *request)
{
    uint64_t signals = block_signals();
    send_request(request);
    restore_signals(signals);
}

/* Between two questions the program's signals are let in: their handlers may do as they like, and never come
 * back, or come back in a forked child. */
COLD void thread_await_plans(uint64_t address)
{
    if (!agent_is_running() || __atomic_load_n(&agent.plans_crowded, __ATOMIC_RELAXED))
        return;
    struct attach_request request = {
        .kind = REQUEST_PLANS,
        .address = address,
        .begun_ns = clock_monotonic_ns(),
    };
    do {
        request.again = false;
        request.done = 0;
        request.asked_ns = clock_monotonic_ns();
        thread_ask(&request);
    } while (request.again && agent_is_running());
    complaint_say();
}

static bool attach(uint64_t stack_pointer)
{
    if (!agent_start())
        return false;
    struct attach_request request = {
        .tid = (uint32_t)sys_call3(SYS_gettid, 0, 0, 0),
        .started_ticks = clock_ticks(),
        .stack_base = stack_base_above(stack_pointer),
        .creator_tid = thread_creator_tid,
    };
    sys_call3(SYS_prctl, PR_GET_NAME, (long)request.name, 0);
    send_request(&request);
    if (request.producer == NULL) {
        complaint_leave("no memory for the calls of a thread: they are not recorded");
        complaint_say();
        ring_mute(); /* or each of its calls would ask again */
        return false;
    }
    ring_producer = request.producer;
    altstack_give(request.producer->altstack);
    return true;
}

COLD bool thread_attach(uint64_t stack_pointer)
{
    if (__atomic_load_n(&agent.state, __ATOMIC_ACQUIRE) == AGENT_OFF)
        return false;
    uint64_t signals = block_signals();
    bool attached = ring_producer->ring != NULL || attach(stack_pointer);
    restore_signals(signals);
    /* May call the program's allocator, whose hooks find the ring in place. */
    if (attached)
        pthread_setspecific(end_key, ring_producer);
    return attached;
}

static void at_thread_end(void *value)
{
    if (++end_rounds < DESTRUCTOR_ROUNDS && pthread_setspecific(end_key, value) == 0)
        return;
    end_rounds = 0;
    struct producer *p = ring_producer;
    ring_producer = &thread_unattached;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    crash_jump(UINT64_MAX);
    if (p->ring == NULL)
        return;
    if (!altstack_take(p->altstack))
        p->altstack = NULL; /* no other thread gets it */
    ring_settle(p);
    sys_call3(SYS_prctl, PR_GET_NAME, (long)p->ring->name, 0);
    p->ring->ended_ticks = clock_ticks();
    __atomic_store_n(&p->ring->state, RING_ENDED, __ATOMIC_RELEASE);
    agent_wake_flusher();
}

bool thread_watch_ends(void)
{
    return pthread_key_create(&end_key, at_thread_end) == 0;
}
