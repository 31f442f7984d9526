/*
 * What the program has chosen to do on the signals that mean a crash, while the agent's handler stands in
 * front of that.
 *
 *  - The kernel has our handler where the program has SIG_DFL or a handler of its own; SIG_IGN is left to the
 *    kernel. What the program chose is kept here, and is what it is told when it asks.
 *  - In front of a handler ours has the handler's flags and mask, so that the same signals are blocked. But
 * it runs on the alternate stack in any case, and calls the program's where that belongs (signal_frame.h).
 *    SA_RESETHAND is done here.
 *  - Who goes past libc, to the kernel, just wins: what is here counts only while the kernel has our handler.
 *  - A child made by vfork shares this memory and has dispositions of its own: it goes to the kernel.
 */
#ifndef CALLTRACE_LIFE_DISPOSITIONS_H
#define CALLTRACE_LIFE_DISPOSITIONS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGSYS. */
bool disposition_is_crash(int signal);

/* Once, when the library is loaded. Returns false when there is no memory. */
bool dispositions_prepare(void);

/* Puts our handler in front, for the rest of this image of the process. */
void dispositions_install(void (*handler)(int, siginfo_t *, void *));

/* In a child made by fork. */
void dispositions_forked(void);

/* sigaction(), for any signal. */
int disposition_set(int signal, const struct sigaction *action, struct sigaction *old);

/* Around a call of libc that changes dispositions in its own way: it finds and leaves the program's. */
struct disposition_change {
    int signal;
    bool held;
    bool shared; /* in a child made by vfork */
    uint64_t mask;
};
struct disposition_change disposition_begin(int signal);
void disposition_end(const struct disposition_change *change);

/* In a handler: what the program chose. Never waits. */
struct disposition {
    void (*handler)(int, siginfo_t *, void *);
    int flags;
};
struct disposition disposition_of(int signal);

/* In a handler: the program's choice becomes SIG_DFL, as SA_RESETHAND asks; ours stays in front. */
void disposition_reset(int signal);

/* In a handler: the signal is to have its default action, and nothing in front of it. */
void disposition_restore_default(int signal);

/* The address that begins every signal frame, to which its handler returns; 0: not known. */
uint64_t disposition_restorer(void);

#endif
