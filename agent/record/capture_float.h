/*
 * Floating point in a capture program: one instruction of the processor's for each operation, with the
 * rounding that the program has set, and without a trace in its status flags.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_FLOAT_H
#define CALLTRACE_RECORD_CAPTURE_FLOAT_H

#include <stdint.h>

#include "agent/record/capture_program.h"

/* OP_ADD_D to OP_DIVIDE_F. */
uint64_t capture_float2(enum capture_op op, uint64_t a, uint64_t b);

/* OP_F_TO_D to OP_F_TO_I32. */
uint64_t capture_float1(enum capture_op op, uint64_t a);

#endif
