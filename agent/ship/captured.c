#include <errno.h>
#include <string.h>

#include "agent/record/capture_program.h"
#include "agent/ship/encode_steps.h"

/* Takes the word before the values of a record of so many words apart. Returns the words of both. */
static int64_t read_values(struct encoder *e, uint64_t position, uint64_t words, uint64_t end)
{
    if (end - position <= words)
        return -EBADMSG;
    uint64_t size = e->ring.words[(position + words) & e->ring.mask];
    uint64_t bytes = size & RECORD_VALUES_SIZE_MASK;
    uint64_t behind = size >> RECORD_VALUES_WORDS_SHIFT & RECORD_VALUES_SIZE_MASK;
    uint64_t before = words + RECORD_VALUES_WORDS;
    /* They begin with the number of their layout. */
    if (bytes < sizeof(uint32_t) || bytes > CAPTURE_BYTES || behind < (bytes + 7) / 8 ||
        end - position - before < behind)
        return -EBADMSG;
    e->values = position + before;
    e->value_bytes = (uint32_t)bytes;
    e->values_sp = (uint32_t)(size >> RECORD_ADDRESS_BITS);
    return (int64_t)(before + behind);
}

COLD int64_t captured_take(struct encoder *e, struct record *r, uint64_t position, uint64_t words,
                           uint64_t end)
{
    r->address &= ~RECORD_HAS_VALUES;
    return columns_have_room_for_values(&e->columns) ? read_values(e, position, words, end) : 0;
}

COLD bool captured_is_of_innermost(const struct encoder *e, const struct stack *stack, const struct record *r)
{
    const struct frame *call = frames_innermost(&stack->frames);
    uint64_t sp_high = call->stack_pointer >> (RECORD_SP_UNIT_SHIFT + RECORD_SP_LOW_BITS) & 0xffff;
    return call->function == r->address && frames_sp_low(call->stack_pointer) == r->sp_low &&
           sp_high == e->values_sp && stack->frames.depth > stack->gap_depth;
}

COLD void captured_put(struct encoder *e)
{
    uint8_t *to = columns_put_values(&e->columns, e->value_bytes);
    uint64_t begin = e->values & e->ring.mask;
    uint64_t before_end = (e->ring.mask + 1 - begin) * sizeof *e->ring.words;
    size_t first = e->value_bytes < before_end ? e->value_bytes : before_end;
    memcpy(to, &e->ring.words[begin], first);
    memcpy(to + first, e->ring.words, e->value_bytes - first);
}
