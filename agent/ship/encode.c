#include "agent/ship/encode.h"

#include <errno.h>

#include "agent/ship/encode_steps.h"

int encode_thread_open(struct encode_thread *thread, uint32_t number, uint64_t started_ticks,
                       uint64_t stack_base)
{
    *thread = (struct encode_thread){.number = number, .last_ticks = started_ticks};
    return stacks_open(&thread->stacks, number, stack_base);
}

void encode_thread_close(struct encode_thread *thread)
{
    stacks_close(&thread->stacks);
}

int encoder_open(struct encoder *encoder, uint32_t first_site, uint32_t max_depth, uint32_t *next_thread)
{
    *encoder = (struct encoder){.max_depth = max_depth, .next_thread = next_thread};
    int status = columns_open(&encoder->columns);
    return status < 0 ? status : sites_open(&encoder->sites, first_site);
}

void encoder_close(struct encoder *encoder)
{
    sites_close(&encoder->sites);
    columns_close(&encoder->columns);
}

static void begin_batch(struct encoder *e, const struct encode_thread *t)
{
    columns_begin(&e->columns, t->number, e->sites.number, t->last_ticks, t->position);
}

static void put_gap(struct encoder *e, struct encode_thread *t, uint64_t dropped)
{
    struct stacks *stacks = &t->stacks;
    put_cut_calls(e, t);
    put_mark(e, t, DROPPED, dropped);
    t->dropped += dropped;
    stacks->own->gap_depth = stacks->own->frames.depth;
    for (size_t i = 0; i < stacks->count; i++)
        stacks->others[i]->gap_depth = stacks->others[i]->frames.depth;
    stacks->unsure = stacks->count != 0;
}

/* ---- events ---- */

/* A coroutine that has come to its end goes on elsewhere without a word; and words may have been dropped. */
static inline bool may_have_switched(const struct stacks *stacks)
{
    return UNLIKELY(stacks->count != 0) &&
           (stacks->unsure || (stacks->now != stacks->own && stacks->now->frames.depth == 0));
}

static int push(struct frames *frames, const struct record *r, uint64_t stack_pointer)
{
    if (UNLIKELY(frames->depth + 1 >= frames->capacity)) {
        int status = frames_grow(frames);
        if (status < 0)
            return status;
    }
    frames->open[++frames->depth] = (struct frame){r->address, r->third, stack_pointer};
    return 0;
}

/* A call that was open when events were dropped, and is made again from the same place: it has returned, and
 * the calls inside of it have. Returns how many that are. */
static size_t made_again(const struct stack *stack, const struct record *r, uint64_t stack_pointer)
{
    const struct frames *frames = &stack->frames;
    for (size_t depth = frames->depth; depth > 0; depth--) {
        const struct frame *call = &frames->open[depth];
        if (call->stack_pointer != stack_pointer)
            break;
        if (depth <= stack->gap_depth && call->function == r->address && call->call_site == r->third)
            return frames->depth - depth + 1;
    }
    return 0;
}

static int encode_entry(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    if (may_have_switched(&t->stacks)) {
        t->stacks.now = stacks_of_entry(&t->stacks, r->sp_known, SP_BITS);
        t->stacks.unsure = false;
    }
    struct stack *stack = t->stacks.now;
    struct frames *frames = &stack->frames;
    uint64_t stack_pointer = full_stack_pointer(frames_innermost(frames)->stack_pointer, r->sp_known);
    if (UNLIKELY(stack_pointer >= frames_innermost(frames)->stack_pointer && frames->depth > 0)) {
        end_seen_gone(e, t, frames_gone_at_entry(frames, stack_pointer, r->third));
        end_seen_gone(e, t, made_again(stack, r, stack_pointer));
    }

    int64_t delta = (int64_t)(frames_innermost(frames)->stack_pointer - stack_pointer);
    int status = push(frames, r, stack_pointer);
    if (UNLIKELY(status < 0))
        return status;
    if (UNLIKELY(e->max_depth != 0 && frames->depth > e->max_depth)) {
        stack->cut_depth++;
        stack->cut_calls++;
        return 0;
    }
    put_cut_calls(e, t);
    struct site *site = sites_find(&e->sites, r->address, r->third);
    if (UNLIKELY(site == NULL)) {
        site = sites_add(&e->sites, r->address, r->third, delta);
        if (site == NULL)
            return -ENOMEM;
        columns_put_site(&e->columns, site);
    }
    if (UNLIKELY(site->frame_delta != delta))
        put_mark(e, t, FRAME_DELTA, (uint64_t)delta);
    put_event(e, t, r->ticks, (uint64_t)site->number + 1);
    if (UNLIKELY(e->value_bytes != 0))
        captured_put(e);
    return 0;
}

/* Makes the call that an exit ends the innermost one. Returns false when it is nobody's exit. */
static bool find_call(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    const struct frames *frames = &t->stacks.now->frames;
    const struct frame *innermost = frames_innermost(frames);
    if (frames->depth != 0 && innermost->function == r->address &&
        frames_sp_low(innermost->stack_pointer) == r->sp_low) {
        /* Those that were forgotten are inside of the calls that are known, and around those that follow. */
        if (t->stacks.now->cut_depth == 0)
            t->forgot_cut_calls = false;
        return true;
    }
    if (t->forgot_cut_calls)
        return false;
    size_t inside = frames_inside_exit(frames, r->address, r->sp_low);
    if (inside == SIZE_MAX) {
        put_elapsed(e, t, r->ticks);
        put_mark(e, t, ORPHAN_EXIT, r->address);
        return false;
    }
    end_seen_gone(e, t, inside);
    return true;
}

static void encode_exit(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    if (may_have_switched(&t->stacks)) {
        t->stacks.now = stacks_of_exit(&t->stacks, r->address, r->sp_low);
        t->stacks.unsure = false;
    }
    struct stack *stack = t->stacks.now;
    const struct frame *innermost = frames_innermost(&stack->frames);
    if (UNLIKELY(t->forgot_cut_calls || stack->frames.depth == 0 || innermost->function != r->address ||
                 frames_sp_low(innermost->stack_pointer) != r->sp_low) &&
        !find_call(e, t, r))
        return;
    if (UNLIKELY(raises_unwind(&stack->raises, stack->frames.depth)))
        return end_at(e, t, 1, UNWOUND, r->ticks);
    if (UNLIKELY(stack->cut_depth != 0)) {
        leave_unsent(stack, 1);
        return;
    }
    if (UNLIKELY(e->value_bytes != 0) && !captured_is_of_innermost(e, stack, r))
        e->value_bytes = 0;
    put_cut_calls(e, t);
    leave(stack, 1);
    put_event(e, t, r->ticks, 0);
    if (UNLIKELY(e->value_bytes != 0))
        captured_put(e);
}

/* ---- records ---- */

static inline struct record read_record(struct ring_words ring, uint64_t position)
{
    uint64_t word = ring.words[(position + 1) & ring.mask];
    return (struct record){
        .ticks = ring.words[position & ring.mask],
        .address = word & RECORD_ADDRESS_MASK,
        .sp_low = word >> RECORD_ADDRESS_BITS & RECORD_SP_LOW_MASK,
    };
}

static inline void read_third_word(struct record *r, struct ring_words ring, uint64_t position)
{
    uint64_t word = ring.words[(position + 2) & ring.mask];
    uint64_t sp_high = word >> RECORD_ADDRESS_BITS;
    r->third = word & RECORD_ADDRESS_MASK;
    r->sp_known = (sp_high << RECORD_SP_LOW_BITS | r->sp_low) << RECORD_SP_UNIT_SHIFT;
}

/* Encodes the record at `position`. Returns its words, or an error; 0: the batch has no room for its values.
 */
static inline int64_t encode_record(struct encoder *e, struct encode_thread *t, struct ring_words ring,
                                    uint64_t position, uint64_t end)
{
    if (end - position < RECORD_EXIT_WORDS)
        return -EBADMSG;
    struct record r = read_record(ring, position);
    int64_t words;
    int status;
    switch (ring.words[(position + 1) & ring.mask] >> RECORD_KIND_SHIFT) {
    case RECORD_ENTRY:
        words = RECORD_ENTRY_WORDS;
        if (end - position < RECORD_ENTRY_WORDS)
            return -EBADMSG;
        read_third_word(&r, ring, position);
        if (UNLIKELY((r.address & RECORD_HAS_VALUES) != 0))
            words = captured_take(e, &r, position, RECORD_ENTRY_WORDS, end);
        if (UNLIKELY(words <= 0 || r.address == 0))
            return words <= 0 ? words : -EBADMSG;
        status = encode_entry(e, t, &r);
        e->value_bytes = 0;
        return status < 0 ? status : words;
    case RECORD_EXIT:
        words = RECORD_EXIT_WORDS;
        if (UNLIKELY((r.address & RECORD_HAS_VALUES) != 0))
            words = captured_take(e, &r, position, RECORD_EXIT_WORDS, end);
        if (UNLIKELY(words <= 0))
            return words;
        encode_exit(e, t, &r);
        e->value_bytes = 0;
        return words;
    case RECORD_DROPPED:
        words = RECORD_EXIT_WORDS + (int64_t)r.sp_low;
        if (end - position < (uint64_t)words)
            return -EBADMSG;
        if (r.address > t->dropped)
            put_gap(e, t, r.address - t->dropped);
        return words;
    default:
        if (end - position < RECORD_NOTE_WORDS)
            return -EBADMSG;
        read_third_word(&r, ring, position);
        encode_note(e, t, &r);
        return RECORD_NOTE_WORDS;
    }
}

int64_t encode_records(struct encoder *e, struct encode_thread *t, struct ring_words ring, uint64_t end)
{
    e->ring = ring;
    e->value_bytes = 0;
    begin_batch(e, t);
    while (t->position != end && !columns_are_full(&e->columns)) {
        int64_t words = encode_record(e, t, ring, t->position, end);
        if (words < 0)
            return words;
        if (UNLIKELY(words == 0))
            break;
        t->position += (uint64_t)words;
    }
    put_cut_calls(e, t);
    return (int64_t)(t->position - e->columns.ring_begin);
}

bool encode_drops(struct encoder *e, struct encode_thread *t, uint64_t dropped)
{
    if (dropped <= t->dropped)
        return false;
    begin_batch(e, t);
    put_gap(e, t, dropped - t->dropped);
    return true;
}

bool encode_end(struct encoder *e, struct encode_thread *t, uint64_t ended_ticks)
{
    struct stacks *stacks = &t->stacks;
    begin_batch(e, t);
    for (size_t i = 0; i < stacks->count && !columns_are_full(&e->columns); i++)
        if (stacks->others[i]->frames.depth != 0)
            end_stack(e, t, stacks->others[i], ended_ticks);
    if (stacks->own->frames.depth != 0 && !columns_are_full(&e->columns))
        end_stack(e, t, stacks->own, ended_ticks);
    return e->columns.marks.length != 0;
}

void encode_skip(struct encoder *e, struct encode_thread *t, uint64_t end)
{
    put_gap(e, t, 1);
    t->position = end;
}

size_t encode_batch_size(const struct encoder *e, const struct encode_thread *t)
{
    return columns_batch_size(&e->columns, t->number, t->position);
}

uint8_t *encode_batch(const struct encoder *e, const struct encode_thread *t, uint8_t *at)
{
    return columns_write_batch(&e->columns, t->number, t->position, at);
}
