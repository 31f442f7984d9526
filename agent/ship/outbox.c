#include "agent/ship/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/life/sys.h"
#include "agent/ship/crc32c.h"

static struct segment_header *segment_at(const struct outbox *o, uint32_t segment)
{
    return (struct segment_header *)(void *)(o->memory + (size_t)segment * OUTBOX_SEGMENT_BYTES);
}

static struct frame_header *frame_at(struct segment_header *segment, uint64_t offset)
{
    return (struct frame_header *)(void *)((uint8_t *)segment + offset);
}

static uint64_t frame_bytes(size_t size)
{
    return (sizeof(struct frame_header) + size + 7) & ~7ull;
}

static struct segment_header *writing(const struct outbox *o)
{
    return segment_at(o, o->order[o->in_use - 1]);
}

static void begin_segment(struct outbox *o, uint16_t number)
{
    struct segment_header *segment = segment_at(o, number);
    segment->magic = SEGMENT_MAGIC;
    segment->last_sequence = o->next_sequence - 1;
    segment->end = sizeof *segment;
    __atomic_store_n(&segment->first_sequence, o->next_sequence, __ATOMIC_RELEASE);
    o->order[o->in_use++] = number;
}

/* Gives one more segment memory. Returns 0 or -errno. */
static int reserve_segment(struct outbox *o)
{
    if (o->reserved == o->segments)
        return -ENOSPC;
    long offset = (long)o->reserved * OUTBOX_SEGMENT_BYTES;
    int status = (int)sys_call6(SYS_fallocate, o->fd, 0, offset, OUTBOX_SEGMENT_BYTES, 0, 0);
    if (status < 0)
        return status;
    o->free[o->free_count++] = (uint16_t)o->reserved++;
    return 0;
}

int outbox_open(struct outbox *o, int directory, uint64_t max_bytes)
{
    *o = (struct outbox){.next_sequence = 1};
    o->segments = (uint32_t)(max_bytes / OUTBOX_SEGMENT_BYTES);
    if (o->segments > OUTBOX_MAX_SEGMENTS)
        o->segments = OUTBOX_MAX_SEGMENTS;
    o->fd = sys_openat(directory, "outbox", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (o->fd < 0)
        return o->fd;
    int status = reserve_segment(o);
    if (status < 0)
        return status;
    size_t size = (size_t)o->segments * OUTBOX_SEGMENT_BYTES;
    o->memory = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
    if (sys_is_error(o->memory))
        return (int)(intptr_t)o->memory;
    sys_madvise(o->memory, size, MADV_DONTFORK);
    begin_segment(o, o->free[--o->free_count]);
    o->send_offset = sizeof(struct segment_header);
    return 0;
}

static void free_oldest(struct outbox *o)
{
    uint16_t number = o->order[0];
    __atomic_store_n(&segment_at(o, number)->first_sequence, 0, __ATOMIC_RELEASE);
    o->in_use--;
    memmove(o->order, o->order + 1, o->in_use * sizeof o->order[0]);
    if (o->send_index > 0)
        o->send_index--;
    else
        o->send_offset = sizeof(struct segment_header);
    o->free[o->free_count++] = number;
}

/* Whether the only segment can be begun anew: all in it has been sent, and has arrived. */
static bool is_over(const struct outbox *o)
{
    const struct segment_header *segment = writing(o);
    return o->in_use == 1 && o->send_offset == segment->end && segment->last_sequence <= o->acknowledged;
}

/* Finds the segment that follows the one that is full. Returns false when there is none. */
static bool next_segment(struct outbox *o)
{
    if (o->free_count == 0 && reserve_segment(o) < 0) {
        if (!is_over(o))
            return false;
        free_oldest(o);
    }
    begin_segment(o, o->free[--o->free_count]);
    return true;
}

uint8_t *outbox_reserve(struct outbox *o, size_t size)
{
    if (size > OUTBOX_MAX_MESSAGE)
        return NULL;
    if (writing(o)->end + frame_bytes(size) > OUTBOX_SEGMENT_BYTES && !next_segment(o))
        return NULL;
    struct segment_header *segment = writing(o);
    return (uint8_t *)frame_at(segment, segment->end) + sizeof(struct frame_header);
}

void outbox_commit(struct outbox *o, size_t size)
{
    struct segment_header *segment = writing(o);
    struct frame_header *frame = frame_at(segment, segment->end);
    uint8_t *message = (uint8_t *)frame + sizeof *frame;
    frame->size = (uint32_t)size;
    frame->sequence = o->next_sequence++;
    frame->crc32c = crc32c(crc32c(0, &frame->sequence, sizeof frame->sequence), message, size);
    segment->last_sequence = frame->sequence;
    __atomic_store_n(&segment->end, segment->end + frame_bytes(size), __ATOMIC_RELEASE);
}

bool outbox_peek(const struct outbox *o, struct outbox_message *message)
{
    struct segment_header *segment = segment_at(o, o->order[o->send_index]);
    uint64_t offset = o->send_offset;
    if (offset == segment->end) {
        if (o->send_index + 1 == o->in_use)
            return false;
        segment = segment_at(o, o->order[o->send_index + 1]);
        offset = sizeof *segment;
        if (offset == segment->end)
            return false;
    }
    const struct frame_header *frame = frame_at(segment, offset);
    *message = (struct outbox_message){(const uint8_t *)(frame + 1), frame->size, frame->sequence};
    return true;
}

void outbox_sent(struct outbox *o)
{
    struct segment_header *segment = segment_at(o, o->order[o->send_index]);
    if (o->send_offset == segment->end) {
        segment = segment_at(o, o->order[++o->send_index]);
        o->send_offset = sizeof *segment;
    }
    o->send_offset += frame_bytes(frame_at(segment, o->send_offset)->size);
}

int outbox_rewind(struct outbox *o, uint64_t sequence)
{
    if (sequence > o->next_sequence || sequence < segment_at(o, o->order[0])->first_sequence)
        return -ERANGE;
    uint32_t index = 0;
    while (index + 1 < o->in_use && segment_at(o, o->order[index])->last_sequence < sequence)
        index++;
    struct segment_header *segment = segment_at(o, o->order[index]);
    uint64_t offset = sizeof *segment;
    while (offset < segment->end && frame_at(segment, offset)->sequence < sequence)
        offset += frame_bytes(frame_at(segment, offset)->size);
    o->send_index = index;
    o->send_offset = offset;
    return 0;
}

void outbox_acknowledge(struct outbox *o, uint64_t sequence)
{
    o->acknowledged = sequence;
    while (o->in_use > 1 && segment_at(o, o->order[0])->last_sequence <= sequence)
        free_oldest(o);
}
