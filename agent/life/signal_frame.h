/*
 * Signal frames of x86-64: what the kernel puts on a stack before it calls a handler, and how to go on with
 * it on another stack.
 *
 * Our handler runs on the alternate stack, where there is one, so that it can run when a thread has no stack
 * left. The program's handler is to run where it would have without us: there the frame is moved, and all is
 * as if the kernel had put it there.
 */
#ifndef CALLTRACE_LIFE_SIGNAL_FRAME_H
#define CALLTRACE_LIFE_SIGNAL_FRAME_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Where the program's handler is to run. */
struct signal_place {
    uint64_t frame; /* to which address the frame is to be moved; 0: it is where it belongs */
    bool no_room;   /* the kernel would have found no room there, and ended the process with SIGSEGV */
};

/* `context` is where our handler was given it. The program's handler has these flags; `programs_altstack`
 * says that the alternate stack is the program's own. */
struct signal_place signal_frame_place(const ucontext_t *context, const siginfo_t *info, int flags,
                                       bool programs_altstack);

/* Moves the frame, and calls `then` on the new stack as the kernel would call a handler. */
typedef void signal_continuation(int signal, siginfo_t *info, ucontext_t *context, uint64_t a, uint64_t b,
                                 uint64_t c);
_Noreturn void signal_frame_move(uint64_t to, int signal, ucontext_t *context, signal_continuation *then,
                                 uint64_t a, uint64_t b, uint64_t c);

#endif
