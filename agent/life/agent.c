#include "agent/life/agent.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/life/complaint.h"
#include "agent/life/crash.h"
#include "agent/life/futex.h"
#include "agent/life/memory.h"
#include "agent/life/spawn.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/life/thread.h"
#include "agent/record/capture.h"
#include "agent/record/capture_memory.h"
#include "agent/record/capture_table.h"
#include "agent/record/clock.h"
#include "agent/ship/flusher.h"

#define FINISH_CHECK_NS 50000000u

struct agent agent;

void agent_say(const char *message)
{
    char line[AGENT_MESSAGE_BYTES + 16];
    struct text t = text_in(line, sizeof line - 1);
    text_add(&t, "calltrace: ");
    text_add(&t, message);
    line[t.length] = '\n';
    (void)sys_write(STDERR_FILENO, line, t.length + 1);
}

void agent_wake_flusher(void)
{
    __atomic_fetch_add(&agent.flusher_calls, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&agent.flusher_sleeps, __ATOMIC_SEQ_CST))
        futex_wake_all(&agent.flusher_calls);
}

/* A page that says 1 here and 0 in a child, however it was forked. */
static int mark_presence(void)
{
    uint32_t *here = memory_get(CALLTRACE_PAGE);
    if (here == NULL)
        return -ENOMEM;
    sys_madvise(here, CALLTRACE_PAGE, MADV_DOFORK);
    int status = sys_madvise(here, CALLTRACE_PAGE, MADV_WIPEONFORK);
    if (status < 0) {
        memory_put(here, CALLTRACE_PAGE);
        return status;
    }
    *here = 1;
    agent.here = here;
    return 0;
}

static bool start_flusher(void)
{
    int status = mark_presence();
    if (status == 0)
        status = spawn_thread(flusher_main);
    if (status < 0) {
        struct text t = text_in(agent.message, sizeof agent.message);
        text_add(&t, "cannot start the agent's thread (error ");
        text_add_number(&t, (uint64_t)-status);
        text_add(&t, "): this program runs untraced");
        return false;
    }
    while (__atomic_load_n(&agent.flusher_ready, __ATOMIC_ACQUIRE) == 0)
        futex_wait(&agent.flusher_ready, 0, 0);
    return __atomic_load_n(&agent.flusher_ready, __ATOMIC_ACQUIRE) == 1;
}

/* Whether hooks look for what to capture. Nothing is recorded yet that they might have missed. */
static void capture_choose(bool traced)
{
    __atomic_store_n(&capture_is_on, traced && agent.config.capture[0] != '\0', __ATOMIC_RELAXED);
}

static bool start(void)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    if (config_read(&agent.config, environ, agent.message, sizeof agent.message) < 0) {
        t.length = strlen(agent.message);
        text_add(&t, "; this program runs untraced");
        return false;
    }
    clock_choose();
    if (sys_call3(SYS_getrandom, (long)agent.session_id, sizeof agent.session_id, 0) !=
        sizeof agent.session_id) {
        text_add(&t, "no random numbers to be had: this program runs untraced");
        return false;
    }
    return start_flusher();
}

/* Of this thread, while it is in fork(). */
static _Thread_local struct fork_point fork_point;

static void before_fork(void)
{
    const struct ring_header *ring = ring_producer->ring;
    if (ring != NULL)
        fork_point = (struct fork_point){true, ring->thread, clock_ticks()};
}

static void after_fork(void)
{
    fork_point.is_known = false;
}

/* After a fork that libc knows nothing of, the child finds the parent's agent in its memory. A process that
 * made no call of its own before it forks leaves its child what it has itself from its parent. */
static void forget_parent(void)
{
    if (agent.state == AGENT_RUNNING) {
        memcpy(agent.parent_session_id, agent.session_id, sizeof agent.session_id);
        agent.has_parent_session = true;
        agent.fork = fork_point;
    }
    after_fork();
    capture_table_forget();
    capture_memory_forget();
    agent.plans_crowded = 0;
    agent.code_changes = 0;
    agent.flusher_ready = 0;
    agent.flusher_calls = 0;
    agent.flusher_sleeps = 0;
    agent.closing = 0;
    agent.requests = NULL;
    agent.finish = 0;
    agent.finished = 0;
    agent.here = NULL;
    agent.state = AGENT_UNSTARTED;
    ring_producer = &thread_unattached;
    thread_creator_tid = 0; /* in this process nobody created its only thread */
}

bool agent_start(void)
{
    uint32_t state = __atomic_load_n(&agent.state, __ATOMIC_ACQUIRE);
    if (state == AGENT_RUNNING && __atomic_load_n(agent.here, __ATOMIC_RELAXED) == 0)
        forget_parent();
    for (;;) {
        state = AGENT_UNSTARTED;
        if (__atomic_compare_exchange_n(&agent.state, &state, AGENT_STARTING, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            break;
        if (state != AGENT_STARTING)
            return state == AGENT_RUNNING;
        futex_wait(&agent.state, AGENT_STARTING, 0);
    }
    complaint_begin();
    bool traced = start();
    capture_choose(traced);
    if (traced)
        crash_watch();
    if (!traced || agent.config.debug)
        agent_say(agent.message);
    __atomic_store_n(&agent.state, traced ? AGENT_RUNNING : AGENT_OFF, __ATOMIC_RELEASE);
    futex_wake_all(&agent.state);
    return traced;
}

/* The last of the program's exit handlers: registered before all others, so it runs after them, and after
 * the destructors of every library. */
static void at_exit(int exit_code, void *unused)
{
    (void)unused;
    if (__atomic_load_n(&agent.state, __ATOMIC_ACQUIRE) != AGENT_RUNNING || *agent.here == 0)
        return;
    crash_jump((uint64_t)(uintptr_t)__builtin_frame_address(0));
    ring_settle(ring_producer);
    agent.exit_code = exit_code;
    __atomic_store_n(&agent.finish, 1, __ATOMIC_RELEASE);
    agent_wake_flusher();
    while (__atomic_load_n(&agent.finished, __ATOMIC_ACQUIRE) == 0)
        futex_wait(&agent.finished, 0, FINISH_CHECK_NS);
    complaint_say();
}

static void in_forked_child(void)
{
    forget_parent();
    crash_forked();
}

static __attribute__((constructor)) void on_load(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    /* A set-user-id program is not the user's to look into. */
    if (getauxval(AT_SECURE) != 0) {
        agent.state = AGENT_OFF;
        capture_choose(false);
        return;
    }
    agent.main_stack_top = (uint64_t)(uintptr_t)environment;
    agent.program_headers = getauxval(AT_PHDR);
    sys_call3(SYS_sched_getaffinity, 0, sizeof agent.affinity, (long)agent.affinity);
    if (on_exit(at_exit, NULL) != 0 || pthread_atfork(before_fork, after_fork, in_forked_child) != 0 ||
        !thread_watch_ends() || !crash_prepare()) {
        agent_say("out of memory while loading: this program runs untraced");
        agent.state = AGENT_OFF;
        capture_choose(false);
    }
}
