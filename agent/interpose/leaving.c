/*
 * _exit() and quick_exit(), which no handler of exit()'s hears of: the exit code is written where the
 * collector finds it. The kernel would tell it too, but only a collector that has known the process before.
 */
#include <stdlib.h>
#include <unistd.h>

#include "agent/interpose/real.h"
#include "agent/life/agent.h"
#include "agent/life/session.h"
#include "agent/life/sys.h"
#include "agent/record/ring.h"

static void leave(int exit_code)
{
    /* A child made by vfork shares this memory, and leaves alone. */
    if (!agent_is_running() || (uint32_t)sys_call3(SYS_getpid, 0, 0, 0) != agent.pid)
        return;
    struct clock_reading reading = clock_read();
    ring_settle(ring_producer);
    session_exited(agent.session, exit_code, &reading);
}

/* Not by way of libc's: one may be here after fork(), while another thread had a lock. */
EXPORT void _exit(int exit_code)
{
    leave(exit_code);
    for (;;)
        sys_call3(SYS_exit_group, exit_code, 0, 0);
}

EXPORT void _Exit(int exit_code)
{
    _exit(exit_code);
}

EXPORT void quick_exit(int exit_code)
{
    static void *place;
    void (*real)(int) = (void (*)(int))(uintptr_t)real_once(&place, "quick_exit");
    agent.quick_exit_code = exit_code;
    real(exit_code);
    _exit(exit_code);
}

static void at_quick_end(void)
{
    leave(agent.quick_exit_code);
}

/* The first one registered is the last one to run. */
static __attribute__((constructor)) void watch_quick_end(void)
{
    at_quick_exit(at_quick_end);
}
