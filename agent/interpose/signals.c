/*
 * sigaction() and its older relatives: the program chooses what happens on the signals that mean a crash, and
 * is told what it chose, while the agent's handler stands in front (life/dispositions.h). All other signals
 * go straight to libc.
 */
#include <signal.h>

#include "agent/interpose/real.h"
#include "agent/life/altstack.h"
#include "agent/life/dispositions.h"

typedef sighandler_t choose_function(int, sighandler_t);
typedef int ignore_function(int);
typedef int interrupt_function(int, int);

static void *real_signal, *real_sysv_signal, *real_sigset, *real_sigignore, *real_siginterrupt;

/* A handler may call these, which must not look for libc's then. */
static __attribute__((constructor)) void find_real(void)
{
    real_once(&real_signal, "signal");
    real_once(&real_sysv_signal, "__sysv_signal");
    real_once(&real_sigset, "sigset");
    real_once(&real_sigignore, "sigignore");
    real_once(&real_siginterrupt, "siginterrupt");
}

EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return disposition_set(signal, action, old);
}

EXPORT int __sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return disposition_set(signal, action, old);
}

static sighandler_t choose(void **place, const char *name, int signal, sighandler_t handler)
{
    choose_function *real = (choose_function *)real_once(place, name);
    struct disposition_change change = disposition_begin(signal);
    sighandler_t before = real(signal, handler);
    disposition_end(&change);
    return before;
}

EXPORT sighandler_t signal(int signal, sighandler_t handler)
{
    return choose(&real_signal, "signal", signal, handler);
}

EXPORT sighandler_t bsd_signal(int signal, sighandler_t handler)
{
    return choose(&real_signal, "signal", signal, handler);
}

EXPORT sighandler_t ssignal(int signal, sighandler_t handler)
{
    return choose(&real_signal, "signal", signal, handler);
}

EXPORT sighandler_t sysv_signal(int signal, sighandler_t handler)
{
    return choose(&real_sysv_signal, "__sysv_signal", signal, handler);
}

EXPORT sighandler_t __sysv_signal(int signal, sighandler_t handler)
{
    return choose(&real_sysv_signal, "__sysv_signal", signal, handler);
}

EXPORT sighandler_t sigset(int signal, sighandler_t handler)
{
    return choose(&real_sigset, "sigset", signal, handler);
}

EXPORT int sigignore(int signal)
{
    ignore_function *real = (ignore_function *)real_once(&real_sigignore, "sigignore");
    struct disposition_change change = disposition_begin(signal);
    int status = real(signal);
    disposition_end(&change);
    return status;
}

EXPORT int siginterrupt(int signal, int interrupt)
{
    interrupt_function *real = (interrupt_function *)real_once(&real_siginterrupt, "siginterrupt");
    struct disposition_change change = disposition_begin(signal);
    int status = real(signal, interrupt);
    disposition_end(&change);
    return status;
}

EXPORT int sigaltstack(const stack_t *stack, stack_t *old)
{
    return altstack_set(stack, old);
}
