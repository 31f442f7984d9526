/*
 * The expressions of capture programs, for capture_run.c.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_EXPRESSION_H
#define CALLTRACE_RECORD_CAPTURE_EXPRESSION_H

#include <stdbool.h>

#include "agent/record/capture_float.h"
#include "agent/record/capture_memory.h"
#include "agent/record/capture_run.h"
#include "agent/record/compiler.h"
#include "agent/record/unaligned.h"

/* A program as it runs. */
struct run {
    const uint8_t *at;
    uint8_t *out;
    uint8_t *end; /* nothing is left from here on, so that there is room for the status of items to come */
    const struct capture_hook *hook;
    const struct capture_context *context;
    uint64_t stack_pointer;
    uint64_t stack_bytes; /* that can be read from there on */
    bool unreadable;      /* the present item loads what cannot be read */
};

static inline uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size < 8 ? value & ((1ull << 8 * size) - 1) : value;
}

static inline uint64_t sign_extended(uint64_t value, unsigned size)
{
    unsigned unused = 64 - 8 * size;
    return (uint64_t)((int64_t)(value << unused) >> unused);
}

static inline uint8_t next(struct run *r)
{
    return *r->at++;
}

static FORCE_INLINE uint64_t load(struct run *r, uint64_t address, unsigned size)
{
    uint64_t value = 0;
    uint64_t place = address - r->stack_pointer;
    if (place < r->stack_bytes && r->stack_bytes - place >= sizeof value)
        return low_bytes(capture_read_word(address), size);
    if (!r->unreadable && !capture_read(r->context, address, &value, size))
        r->unreadable = true;
    return value;
}

static inline uint64_t binary(enum capture_op op, uint64_t a, uint64_t b)
{
    switch (op) {
    case OP_SUBTRACT:
        return a - b;
    case OP_MULTIPLY:
        return a * b;
    case OP_AND:
        return a & b;
    case OP_OR:
        return a | b;
    case OP_XOR:
        return a ^ b;
    case OP_SHIFT_LEFT:
        return a << (b & 63);
    case OP_SHIFT_RIGHT:
        return a >> (b & 63);
    case OP_SHIFT_SIGNED:
        return (uint64_t)((int64_t)a >> (b & 63));
    case OP_EQUAL:
        return a == b;
    case OP_NOT_EQUAL:
        return a != b;
    case OP_LESS:
        return (int64_t)a < (int64_t)b;
    case OP_LESS_EQUAL:
        return (int64_t)a <= (int64_t)b;
    case OP_BELOW:
        return a < b;
    case OP_BELOW_EQUAL:
        return a <= b;
    default:
        return capture_float2(op, a, b);
    }
}

/* The value that an operation pushes; the program goes on behind what it takes. */
static inline uint64_t pushed(struct run *r, enum capture_op op)
{
    const uint8_t *at = r->at;
    switch (op) {
    case OP_XMM:
        r->at += 1;
        return r->context->registers->xmm[at[0]];
    case OP_CONST32:
        r->at += 4;
        return (uint64_t)(int32_t)get_u32(at);
    case OP_CONST64:
        r->at += 8;
        return get_u64(at);
    default:
        r->at += 8;
        return r->hook->load_bias + get_u64(at);
    }
}

static inline uint64_t unary(enum capture_op op, uint64_t a)
{
    switch (op) {
    case OP_NOT:
        return ~a;
    case OP_NEGATE:
        return 0 - a;
    default:
        return capture_float1(op, a);
    }
}

/* An operation on the numbers up to `top`, but none of those that evaluate_all() does itself; returns where
 * the topmost is then. */
static uint64_t *operate(struct run *r, enum capture_op op, uint64_t *top)
{
    unsigned size;
    if (op <= OP_IMAGE) {
        *++top = pushed(r, op);
    } else if (op <= OP_NEGATE || op >= OP_F_TO_D) {
        *top = unary(op, *top);
    } else if (op == OP_SELECT) {
        top -= 2;
        *top = top[0] != 0 ? top[1] : top[2];
    } else if (op == OP_INSERT) {
        size = next(r);
        top--;
        *top = (top[0] & ~low_bytes(UINT64_MAX, size)) | low_bytes(top[1], size);
    } else {
        top--;
        *top = binary(op, top[0], top[1]);
    }
    return top;
}

/* The operations that are frequent come first. */
static uint64_t evaluate_all(struct run *r)
{
    uint64_t numbers[CAPTURE_DEPTH + 1];
    uint64_t *top = numbers; /* numbers[0] is below the first */
    for (;;) {
        enum capture_op op = (enum capture_op)next(r);
        switch (op) {
        case OP_END:
            return *top;
        case OP_REGISTER:
            *++top = r->context->registers->general[next(r)];
            break;
        case OP_CONST8:
            *++top = (uint64_t)(int8_t)next(r);
            break;
        case OP_LOAD:
            *top = load(r, *top, next(r));
            break;
        case OP_ZERO:
            *top = low_bytes(*top, next(r));
            break;
        case OP_SIGN:
            *top = sign_extended(*top, next(r));
            break;
        case OP_ADD:
            top--;
            *top += top[1];
            break;
        default:
            top = operate(r, op, top);
        }
    }
}

/* Most expressions are a register, or what lies at a place relative to one. */
static FORCE_INLINE uint64_t evaluate(struct run *r)
{
    const uint8_t *at = r->at;
    if (at[0] == OP_REGISTER) {
        /* No expression that has begun ends before the bytes that are looked at. */
        uint64_t value = r->context->registers->general[at[1]];
        if (at[2] == OP_END) {
            r->at += 3;
            return value;
        }
        if (at[2] == OP_ZERO && at[4] == OP_END) {
            r->at += 5;
            return low_bytes(value, at[3]);
        }
        if (at[2] == OP_CONST8 && at[4] == OP_ADD && at[5] == OP_LOAD && at[7] == OP_END) {
            r->at += 8;
            return load(r, value + (uint64_t)(int8_t)at[3], at[6]);
        }
    }
    return evaluate_all(r);
}

#endif
