/*
 * Runs capture programs (capture_program.h).
 *
 * A program is checked once, when it comes; then it cannot go wrong: expressions have no branches, so how
 * deep their numbers stack is known.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_RUN_H
#define CALLTRACE_RECORD_CAPTURE_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "agent/record/capture_program.h"

#define CAPTURE_MOST_ITEMS 1024

/* The registers where a hook is called: general ones by DWARF number, xmm0 to xmm7 as halves, lower first. */
struct capture_registers {
    uint64_t general[16];
    uint64_t xmm[16];
};
#define CAPTURE_STACK_POINTER 7 /* its place in `general` */

/* What is captured where a hook is called. */
struct capture_hook {
    uint64_t return_address; /* where the hook returns to */
    uint64_t function;       /* that the hook must be called for */
    uint64_t load_bias;
    const uint8_t *program;
    uint32_t size; /* of the program, in bytes */
    uint32_t layout;
    uint16_t items; /* set by capture_check() */
    uint16_t room; /* likewise: bytes that the program needs while it runs; it leaves at most CAPTURE_BYTES */
    uint16_t capacity; /* of the memory at `program`, where that is the table's */
};

/* Checks a program, and sets `items` and `room`. -EINVAL: it is none. */
int capture_check(struct capture_hook *hook, uint32_t text_limit);

/* What a program is run with. */
struct capture_context {
    const struct capture_registers *registers;
    uint64_t stack_end; /* the thread's stack is readable from the stack pointer to here */
    uint32_t text_limit;
};

/* Runs a program that has been checked for the context's text_limit or more; writes the layout's number and
 * what the program leaves to `out`, which has hook->room bytes, and to `frame` the stack pointer that names
 * the call: the hook's own, or what an ITEM_FRAME says. Returns how many bytes are at `out`. */
size_t capture_run(const struct capture_hook *hook, const struct capture_context *context, uint8_t *out,
                   uint64_t *frame);

#endif
