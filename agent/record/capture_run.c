#include "agent/record/capture_run.h"

#include <stdbool.h>

#include "agent/record/capture_expression.h"
#include "agent/record/capture_memory.h"
#include "agent/record/compiler.h"
#include "agent/record/unaligned.h"

#define ENDS_AT_ZERO UINT64_MAX

static inline void leave_status(struct run *r, enum capture_status status)
{
    *r->out++ = (uint8_t)status;
    r->end++;
}

static inline bool has_room(struct run *r, size_t size)
{
    return (size_t)(r->end - r->out) >= size;
}

static FORCE_INLINE void leave_value(struct run *r)
{
    unsigned size = next(r);
    uint64_t first = evaluate(r);
    uint64_t second = size > sizeof first ? evaluate(r) : 0;
    if (UNLIKELY(r->unreadable || !has_room(r, size))) {
        leave_status(r, r->unreadable ? CAPTURE_UNREADABLE : CAPTURE_NO_ROOM);
        return;
    }
    leave_status(r, CAPTURE_OK);
    put_u64(r->out, first);
    if (size > sizeof first)
        put_u64(r->out + sizeof first, second);
    r->out += size;
}

static enum capture_status memory_to(struct run *r, uint64_t address, unsigned size, uint8_t *to)
{
    if (r->unreadable)
        return CAPTURE_UNREADABLE;
    if (address == 0)
        return CAPTURE_NULL;
    if (!has_room(r, size))
        return CAPTURE_NO_ROOM;
    return capture_read(r->context, address, to, size) ? CAPTURE_OK : CAPTURE_UNREADABLE;
}

static void leave_memory(struct run *r)
{
    unsigned size = get_u16(r->at);
    r->at += sizeof(uint16_t);
    uint64_t address = evaluate(r);
    enum capture_status status = memory_to(r, address, size, r->out + 1);
    leave_status(r, status);
    if (status == CAPTURE_OK)
        r->out += size;
}

/* The string at an address, of `length` bytes or, where that is ENDS_AT_ZERO, up to a zero; at most `most`.
 */
static enum capture_status text_to(struct run *r, uint64_t address, uint64_t length, size_t most, uint8_t *to,
                                   size_t *got)
{
    if (r->unreadable)
        return CAPTURE_UNREADABLE;
    if (address == 0 && length != 0)
        return CAPTURE_NULL;
    if (length == ENDS_AT_ZERO) {
        *got = capture_read_text(r->context, address, to, most + 1);
        if (*got == CAPTURE_NOT_READABLE)
            return CAPTURE_UNREADABLE;
    } else {
        *got = length < most ? length : most;
        if (*got != 0 && !capture_read(r->context, address, to, *got))
            return CAPTURE_UNREADABLE;
        *got = length < most + 1 ? length : most + 1;
    }
    if (*got <= most)
        return CAPTURE_OK;
    *got = most;
    return CAPTURE_CUT;
}

static void leave_text(struct run *r, bool has_length)
{
    uint64_t address = evaluate(r);
    uint64_t length = has_length ? evaluate(r) : ENDS_AT_ZERO;
    size_t most = r->context->text_limit, got = 0;
    bool is_tight = !has_room(r, sizeof(uint16_t) + most);
    if (has_length && length == ENDS_AT_ZERO)
        length--; /* nonsense, and as long */
    if (is_tight) {
        most = has_room(r, sizeof(uint16_t)) ? (size_t)(r->end - r->out) - sizeof(uint16_t) : 0;
        if (most == 0) {
            leave_status(r, CAPTURE_NO_ROOM);
            return;
        }
    }
    enum capture_status status = text_to(r, address, length, most, r->out + 3, &got);
    if (is_tight && status == CAPTURE_CUT)
        status = CAPTURE_NO_ROOM;
    leave_status(r, status);
    if (status != CAPTURE_OK && status != CAPTURE_CUT)
        return;
    put_u16(r->out, (uint16_t)got);
    r->out += sizeof(uint16_t) + got;
}

size_t capture_run(const struct capture_hook *hook, const struct capture_context *context, uint8_t *out,
                   uint64_t *frame)
{
    uint64_t stack_pointer = context->registers->general[CAPTURE_STACK_POINTER];
    struct run r = {
        .at = hook->program,
        .out = out + sizeof hook->layout,
        .end = out + CAPTURE_BYTES - hook->items,
        .hook = hook,
        .context = context,
        .stack_pointer = stack_pointer,
        .stack_bytes = context->stack_end > stack_pointer ? context->stack_end - stack_pointer : 0,
    };
    uint64_t value;
    *frame = stack_pointer;
    put_u32(out, hook->layout);
    for (unsigned i = 0; i < hook->items; i++) {
        r.unreadable = false;
        switch (next(&r)) {
        case ITEM_VALUE:
            leave_value(&r);
            break;
        case ITEM_MEMORY:
            leave_memory(&r);
            break;
        case ITEM_TEXT:
            leave_text(&r, false);
            break;
        case ITEM_FRAME:
            value = evaluate(&r);
            if (!r.unreadable)
                *frame = value;
            break;
        default:
            leave_text(&r, true);
        }
    }
    return (size_t)(r.out - out);
}
