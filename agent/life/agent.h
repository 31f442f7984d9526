/*
 * The agent of this process: one global, started by the first instrumented call.
 *
 * Nothing happens before that, so that an uninstrumented program (a shell between two traced ones, say)
 * pays for three registrations with libc and nothing else.
 */
#ifndef CALLTRACE_LIFE_AGENT_H
#define CALLTRACE_LIFE_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/life/config.h"

#define AGENT_VERSION "0.1.0"
#define AGENT_MESSAGE_BYTES 768
#define SESSION_ID_BYTES 16

enum agent_state {
    AGENT_UNSTARTED = 0,
    AGENT_STARTING,
    AGENT_RUNNING,
    AGENT_OFF, /* this process is not traced, and why has been said */
};

struct attach_request;
struct session_header;

/* Which thread called fork(), and when. */
struct fork_point {
    bool is_known;
    uint32_t thread; /* its number in its session */
    uint64_t ticks;
};

struct agent {
    uint32_t state; /* enum agent_state; a futex */
    struct config config;
    char message[AGENT_MESSAGE_BYTES]; /* why the start failed, or what was started */

    uint8_t session_id[SESSION_ID_BYTES];
    uint8_t parent_session_id[SESSION_ID_BYTES];
    bool has_parent_session;
    struct fork_point fork;     /* where in the parent session this process was forked */
    uint64_t main_stack_top;    /* where main's thread's stack begins; 0: not known */
    uint64_t program_headers;   /* an address in the executable; 0: not known */
    unsigned long affinity[16]; /* processors that the process was allowed to use when it was loaded */

    /* Between the program's threads and the flusher. */
    uint32_t flusher_ready;  /* futex: 0, then 1 (running) or 2 (failed, see message) */
    uint32_t flusher_calls;  /* futex: goes up with every wake-up call */
    uint32_t flusher_sleeps; /* the flusher waits for flusher_calls to change */
    uint32_t closing;        /* libraries are being unloaded just now, by so many threads */
    uint32_t plans_crowded;  /* there is no place to note for what more code no plan is to be waited for */
    /* Not 0: code may have been replaced since the flusher looked; only the executable's plans hold. */
    uint32_t code_changes;
    struct attach_request *requests; /* threads that want a ring, newest first */
    uint32_t finish;                 /* 1: the process exits, with exit_code */
    int exit_code;
    int quick_exit_code;            /* what was passed to quick_exit() */
    uint32_t pid;                   /* of the process that this is the agent of */
    struct session_header *session; /* of the session directory; mapped in that process only */
    uint32_t finished;              /* futex: 1 when the flusher has sent all there is */
    uint32_t *here;                 /* 1, in memory that a forked child sees as 0 */
};

extern struct agent agent __attribute__((visibility("hidden")));

/* Starts the agent, or waits until another thread has. All signals must be blocked. Returns whether this
 * process is traced. */
bool agent_start(void);

/* Whether this process is traced, and its flusher there: in a child forked a moment ago it is not. */
static inline bool agent_is_running(void)
{
    return __atomic_load_n(&agent.state, __ATOMIC_ACQUIRE) == AGENT_RUNNING &&
           __atomic_load_n(agent.here, __ATOMIC_RELAXED) != 0;
}

/* Called with whatever may have made work for the flusher. */
void agent_wake_flusher(void);

/* Writes one line to the program's standard error. */
void agent_say(const char *message);

#endif
