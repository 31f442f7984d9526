#include "agent/ship/encode.h"

#include <errno.h>

#include "agent/life/memory.h"
#include "agent/record/layout.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define DT_BYTES (ENCODE_CLOSE_BYTES + 4096u)
#define OP_BYTES (ENCODE_CLOSE_BYTES + 4096u)
#define MARK_BYTES (24u << 10)
#define SITE_BYTES (24u << 10)
/* A Site message has 20 bytes or more. */
#define NEW_ADDRESS_BYTES (2 * sizeof(uint64_t) * (SITE_BYTES / 20))
#define MEMORY_BYTES (DT_BYTES + OP_BYTES + MARK_BYTES + SITE_BYTES + NEW_ADDRESS_BYTES)
/* What one record can add: at most four marks and a site. */
#define MARK_ROOM 256u
#define SITE_ROOM 64u

/* Fields of EventBatch, Site and Mark. */
enum { THREAD = 1, RING_BEGIN, RING_END, BASE_TICKS, FIRST_SITE, SITES, DT, OP, MARKS };
enum { SITE_FUNCTION = 1, SITE_CALL_SITE, SITE_FRAME_DELTA };
enum { MARK_INDEX = 1, MARK_KIND, MARK_VALUE };
enum mark { ABANDONED = 1, ORPHAN_EXIT, FRAME_DELTA, DROPPED, CUT, LOST_EXIT, ELAPSED, UNWOUND };

struct record {
    uint64_t ticks;
    uint64_t address;
    uint64_t sp_low;
    uint64_t call_site;     /* of an entry */
    uint64_t stack_pointer; /* of an entry or a note */
};

int encode_thread_open(struct encode_thread *thread, uint32_t number, uint64_t started_ticks,
                       uint64_t stack_base)
{
    *thread = (struct encode_thread){.number = number, .last_ticks = started_ticks};
    return frames_open(&thread->frames, stack_base);
}

void encode_thread_close(struct encode_thread *thread)
{
    frames_close(&thread->frames);
}

int encoder_open(struct encoder *encoder, uint32_t first_site, uint32_t max_depth)
{
    *encoder = (struct encoder){.max_depth = max_depth};
    encoder->memory = memory_get(MEMORY_BYTES);
    if (encoder->memory == NULL)
        return -ENOMEM;
    return sites_open(&encoder->sites, first_site);
}

void encoder_close(struct encoder *encoder)
{
    sites_close(&encoder->sites);
    memory_put(encoder->memory, MEMORY_BYTES);
}

static void begin_batch(struct encoder *e, const struct encode_thread *t)
{
    e->dt = e->dt_end = e->memory;
    e->op = e->op_end = e->memory + DT_BYTES;
    e->marks = (struct proto){.bytes = e->memory + DT_BYTES + OP_BYTES, .size = MARK_BYTES};
    e->new_sites = (struct proto){.bytes = e->marks.bytes + MARK_BYTES, .size = SITE_BYTES};
    e->new_addresses = (uint64_t *)(void *)(e->new_sites.bytes + SITE_BYTES);
    e->new_address_count = 0;
    e->events = 0;
    e->first_site = e->sites.number;
    e->base_ticks = t->last_ticks;
    e->ring_begin = t->position;
}

static bool is_full(const struct encoder *e)
{
    size_t columns = (size_t)(e->dt_end - e->dt) + (size_t)(e->op_end - e->op);
    return columns >= ENCODE_CLOSE_BYTES || e->events >= ENCODE_MAX_EVENTS ||
           e->marks.size - e->marks.length < MARK_ROOM || e->new_sites.size - e->new_sites.length < SITE_ROOM;
}

static void put_mark(struct encoder *e, enum mark kind, uint64_t value)
{
    uint8_t bytes[3 * (1 + VARINT_MAX_BYTES)];
    struct proto mark = {.bytes = bytes, .size = sizeof bytes};
    proto_uint(&mark, MARK_INDEX, e->events);
    proto_uint(&mark, MARK_KIND, kind);
    proto_uint(&mark, MARK_VALUE, value);
    proto_bytes(&e->marks, MARKS, bytes, mark.length);
}

static void put_site(struct encoder *e, const struct site *site)
{
    uint8_t bytes[64];
    struct proto message = {.bytes = bytes, .size = sizeof bytes};
    proto_fixed64(&message, SITE_FUNCTION, site->function);
    proto_fixed64(&message, SITE_CALL_SITE, site->call_site);
    proto_uint(&message, SITE_FRAME_DELTA, zigzag(site->frame_delta));
    proto_bytes(&e->new_sites, SITES, bytes, message.length);
    e->new_addresses[e->new_address_count++] = site->function;
    e->new_addresses[e->new_address_count++] = site->call_site;
}

/* Time does not run backwards within a thread; the counters of two cores may differ by a little. */
static inline uint64_t elapse(struct encode_thread *t, uint64_t ticks)
{
    uint64_t dt = (int64_t)(ticks - t->last_ticks) > 0 ? ticks - t->last_ticks : 0;
    t->last_ticks += dt;
    return dt;
}

static inline void put_event(struct encoder *e, struct encode_thread *t, uint64_t ticks, uint64_t op)
{
    uint64_t dt = elapse(t, ticks);
    e->dt_end = put_varint(e->dt_end, dt);
    e->op_end = put_varint(e->op_end, op);
    e->events++;
}

/* Says how many calls were left out since the last event sent. */
static void put_cut_calls(struct encoder *e, struct encode_thread *t)
{
    if (UNLIKELY(t->cut_calls != 0)) {
        put_mark(e, CUT, t->cut_calls);
        t->cut_calls = 0;
    }
}

static void leave(struct encode_thread *t, size_t calls)
{
    t->frames.depth -= calls;
    if (UNLIKELY(t->gap_depth > t->frames.depth))
        t->gap_depth = t->frames.depth;
    raises_left(&t->raises, t->frames.depth);
}

/* Of the innermost open calls, those that are too deep to be sent; returns how many of `count` are left. */
static size_t leave_unsent(struct encode_thread *t, size_t count)
{
    size_t unsent = count < t->cut_depth ? count : (size_t)t->cut_depth;
    t->cut_depth -= unsent;
    leave(t, unsent);
    return count - unsent;
}

static void put_elapsed(struct encoder *e, struct encode_thread *t, uint64_t ticks)
{
    uint64_t dt = elapse(t, ticks);
    if (dt != 0)
        put_mark(e, ELAPSED, dt);
}

/* Ends the `count` innermost open calls, at `ticks`. */
static void end_at(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks)
{
    count = leave_unsent(t, count);
    if (count == 0)
        return;
    put_cut_calls(e, t);
    put_elapsed(e, t, ticks);
    put_mark(e, how, count);
    leave(t, count);
}

/* Ends the `count` innermost open calls, which have left no exit: those open across a gap may have
 * returned in it, the others have not. `ticks` is when they ended; the last event's: nobody knows. */
static void end_gone(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks)
{
    size_t after_gap = t->frames.depth > t->gap_depth ? t->frames.depth - t->gap_depth : 0;
    size_t ended = count < after_gap ? count : after_gap;
    end_at(e, t, ended, how, ticks);
    end_at(e, t, count - ended, LOST_EXIT, t->last_ticks);
}

/* The same, given that a later event shows that they are gone. */
static void end_seen_gone(struct encoder *e, struct encode_thread *t, size_t count)
{
    enum mark how = raises_unwind(&t->raises, t->frames.depth) ? UNWOUND : ABANDONED;
    end_gone(e, t, count, how, t->last_ticks);
}

static void put_gap(struct encoder *e, struct encode_thread *t, uint64_t dropped)
{
    put_cut_calls(e, t);
    put_mark(e, DROPPED, dropped);
    t->dropped += dropped;
    t->gap_depth = t->frames.depth;
}

/* The stack pointer of an entry from its 30 recorded bits and the nearest known stack pointer. */
static uint64_t full_stack_pointer(uint64_t near, uint64_t sp_low, uint64_t sp_high)
{
    const unsigned unknown = 64 - 30 - RECORD_SP_UNIT_SHIFT;
    uint64_t recorded = (sp_high << RECORD_SP_LOW_BITS | sp_low) << RECORD_SP_UNIT_SHIFT;
    int64_t distance = (int64_t)((recorded - near) << unknown) >> unknown;
    return near + (uint64_t)distance;
}

static int push(struct frames *frames, const struct record *r)
{
    if (UNLIKELY(frames->depth + 1 >= frames->capacity)) {
        int status = frames_grow(frames);
        if (status < 0)
            return status;
    }
    frames->open[++frames->depth] = (struct frame){r->address, r->call_site, r->stack_pointer};
    return 0;
}

static int encode_entry(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    struct frames *frames = &t->frames;
    if (UNLIKELY(r->stack_pointer >= frames_innermost(frames)->stack_pointer && frames->depth > 0))
        end_seen_gone(e, t, frames_gone_at_entry(frames, r->stack_pointer, r->call_site));

    int64_t delta = (int64_t)(frames_innermost(frames)->stack_pointer - r->stack_pointer);
    int status = push(frames, r);
    if (UNLIKELY(status < 0))
        return status;
    if (UNLIKELY(e->max_depth != 0 && frames->depth > e->max_depth)) {
        t->cut_depth++;
        t->cut_calls++;
        return 0;
    }
    put_cut_calls(e, t);
    struct site *site = sites_find(&e->sites, r->address, r->call_site);
    if (UNLIKELY(site == NULL)) {
        site = sites_add(&e->sites, r->address, r->call_site, delta);
        if (site == NULL)
            return -ENOMEM;
        put_site(e, site);
    }
    if (UNLIKELY(site->frame_delta != delta))
        put_mark(e, FRAME_DELTA, (uint64_t)delta);
    put_event(e, t, r->ticks, (uint64_t)site->number + 1);
    return 0;
}

static void encode_exit(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    struct frames *frames = &t->frames;
    const struct frame *innermost = frames_innermost(frames);
    if (UNLIKELY(frames->depth == 0 || innermost->function != r->address ||
                 frames_sp_low(innermost->stack_pointer) != r->sp_low)) {
        size_t inside = frames_inside_exit(frames, r->address, r->sp_low);
        if (inside == SIZE_MAX) {
            put_mark(e, ORPHAN_EXIT, r->address);
            return;
        }
        end_seen_gone(e, t, inside);
    }
    if (UNLIKELY(raises_unwind(&t->raises, frames->depth)))
        return end_at(e, t, 1, UNWOUND, r->ticks);
    if (UNLIKELY(t->cut_depth != 0)) {
        leave_unsent(t, 1);
        return;
    }
    put_cut_calls(e, t);
    leave(t, 1);
    put_event(e, t, r->ticks, 0);
}

static void encode_note(struct encoder *e, struct encode_thread *t, const struct record *r,
                        enum note_kind kind)
{
    struct frames *frames = &t->frames;
    switch (kind) {
    case NOTE_RAISE:
        raises_push(&t->raises, frames->depth);
        break;
    case NOTE_FORCED: /* said again for each call that is unwound */
        if (!raises_unwind(&t->raises, frames->depth))
            raises_push(&t->raises, frames->depth);
        break;
    case NOTE_LAND:
        end_gone(e, t, frames_gone_below(frames, r->stack_pointer), UNWOUND, r->ticks);
        break;
    case NOTE_CATCH:
        end_gone(e, t, frames_gone_below(frames, r->stack_pointer), UNWOUND, r->ticks);
        raises_pop(&t->raises);
        break;
    case NOTE_JUMP:
        end_gone(e, t, frames_gone_below(frames, r->address), ABANDONED, r->ticks);
        raises_jumped(&t->raises, frames->depth);
        break;
    default: /* of a later agent */
        break;
    }
}

static inline struct record read_event(struct ring_words ring, uint64_t position)
{
    uint64_t word = ring.words[(position + 1) & ring.mask];
    return (struct record){
        .ticks = ring.words[position & ring.mask],
        .address = word & RECORD_ADDRESS_MASK,
        .sp_low = word >> RECORD_ADDRESS_BITS & RECORD_SP_LOW_MASK,
    };
}

static inline void read_third_word(struct record *r, struct ring_words ring, uint64_t position,
                                   const struct encode_thread *t)
{
    uint64_t word = ring.words[(position + 2) & ring.mask];
    r->call_site = word & RECORD_ADDRESS_MASK;
    r->stack_pointer = full_stack_pointer(frames_innermost(&t->frames)->stack_pointer, r->sp_low,
                                          word >> RECORD_ADDRESS_BITS);
}

/* Encodes the record at `position`. Returns its words, or an error. */
static inline int64_t encode_record(struct encoder *e, struct encode_thread *t, struct ring_words ring,
                                    uint64_t position, uint64_t end)
{
    if (end - position < RECORD_EXIT_WORDS)
        return -EBADMSG;
    struct record r = read_event(ring, position);
    switch (ring.words[(position + 1) & ring.mask] >> RECORD_KIND_SHIFT) {
    case RECORD_ENTRY: {
        if (end - position < RECORD_ENTRY_WORDS || r.address == 0)
            return -EBADMSG;
        read_third_word(&r, ring, position, t);
        int status = encode_entry(e, t, &r);
        return status < 0 ? status : (int64_t)RECORD_ENTRY_WORDS;
    }
    case RECORD_EXIT:
        encode_exit(e, t, &r);
        return RECORD_EXIT_WORDS;
    case RECORD_DROPPED: {
        uint64_t words = RECORD_EXIT_WORDS + (r.sp_low & 1);
        if (end - position < words)
            return -EBADMSG;
        if (r.address > t->dropped)
            put_gap(e, t, r.address - t->dropped);
        return (int64_t)words;
    }
    default:
        if (end - position < RECORD_NOTE_WORDS)
            return -EBADMSG;
        read_third_word(&r, ring, position, t);
        encode_note(e, t, &r, (enum note_kind)r.call_site);
        return RECORD_NOTE_WORDS;
    }
}

int64_t encode_records(struct encoder *e, struct encode_thread *t, struct ring_words ring, uint64_t end)
{
    begin_batch(e, t);
    while (t->position != end && !is_full(e)) {
        int64_t words = encode_record(e, t, ring, t->position, end);
        if (words < 0)
            return words;
        t->position += (uint64_t)words;
    }
    return (int64_t)(t->position - e->ring_begin);
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
    size_t open = t->frames.depth;
    if (open == 0)
        return false;
    begin_batch(e, t);
    end_gone(e, t, open, raises_unwind(&t->raises, open) ? UNWOUND : ABANDONED, ended_ticks);
    return true;
}

void encode_skip(struct encoder *e, struct encode_thread *t, uint64_t end)
{
    put_gap(e, t, 1);
    t->position = end;
}

static size_t bytes_field_size(size_t length)
{
    return length == 0 ? 0 : 1 + varint_bytes(length) + length;
}

static size_t uint_field_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + varint_bytes(value);
}

size_t encode_batch_size(const struct encoder *e, const struct encode_thread *t)
{
    return uint_field_size(t->number) + uint_field_size(e->ring_begin) + uint_field_size(t->position) +
           uint_field_size(e->base_ticks) + uint_field_size(e->first_site) + e->new_sites.length +
           bytes_field_size((size_t)(e->dt_end - e->dt)) + bytes_field_size((size_t)(e->op_end - e->op)) +
           e->marks.length;
}

uint8_t *encode_batch(const struct encoder *e, const struct encode_thread *t, uint8_t *at)
{
    struct proto batch = {.bytes = at, .size = SIZE_MAX / 2};
    proto_uint(&batch, THREAD, t->number);
    proto_uint(&batch, RING_BEGIN, e->ring_begin);
    proto_uint(&batch, RING_END, t->position);
    proto_uint(&batch, BASE_TICKS, e->base_ticks);
    proto_uint(&batch, FIRST_SITE, e->first_site);
    memcpy(at + batch.length, e->new_sites.bytes, e->new_sites.length);
    batch.length += e->new_sites.length;
    if (e->events != 0) {
        proto_bytes(&batch, DT, e->dt, (size_t)(e->dt_end - e->dt));
        proto_bytes(&batch, OP, e->op, (size_t)(e->op_end - e->op));
    }
    memcpy(at + batch.length, e->marks.bytes, e->marks.length);
    return at + batch.length + e->marks.length;
}
