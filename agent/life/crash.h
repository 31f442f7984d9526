/*
 * Crashes: the handler of the signals that mean one (dispositions.h).
 *
 * It writes what is to be known into the session's crash slot (layout.h), wakes the flusher and waits until
 * that has read the rest, at most CRASH_PATIENCE_NS. Then what would have happened without it happens: the
 * program's handler runs, or the default action ends the process.
 *
 *  - The first crash is the one that counts; a thread that crashes meanwhile waits, then goes its way.
 *  - What the program's own handler deals with, by returning or by jumping out of it, was no crash.
 *  - It runs on whatever stack it is given, with a heap that may be broken: no libc but for the clock.
 */
#ifndef CALLTRACE_LIFE_CRASH_H
#define CALLTRACE_LIFE_CRASH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "agent/record/layout.h"

#define CRASH_PATIENCE_NS 2000000000ull

/* The stack pointer of the program's handler that runs on this thread for the recorded crash; 0: none does.
 */
extern _Thread_local uint64_t crash_handler_frame __attribute__((visibility("hidden")));

/* Once, when the library is loaded. Returns false when there is no memory. */
bool crash_prepare(void);

/* From here on crashes are recorded, in this slot. Called by the flusher. */
void crash_open(struct crash_slot *slot);

/* Puts the handler in place (crash_handler.c). All signals must be blocked. */
void crash_watch(void);

/* In a child made by fork: nothing is recorded until crash_open(). */
void crash_forked(void);

/* In the handler: records the crash and waits. `handler_frame` is the stack pointer that the program's
 * handler is called below, or 0 where it has none. Returns the number of what was recorded, or 0: nothing
 * was, or something that came before is kept. */
uint32_t crash_record(int signal, const siginfo_t *info, const mcontext_t *context, uint64_t handler_frame);

/* The program has dealt with it: it was no crash. */
void crash_withdraw(uint32_t number);

/* This thread, in the program's handler, goes on with another stack pointer, or ends. */
void crash_leave(uint64_t stack_pointer);

static inline void crash_jump(uint64_t stack_pointer)
{
    if (__builtin_expect(crash_handler_frame != 0, 0))
        crash_leave(stack_pointer);
}

/* Where abort() begins; 0: not to be found. */
extern uint64_t crash_abort_code __attribute__((visibility("hidden")));

/* libc's last words; 0: not to be found. A pointer to { unsigned size; char text[]; } or to NULL. */
extern uint64_t crash_abort_message __attribute__((visibility("hidden")));

#endif
