/*
 * The outbox: messages that the collector has not committed yet, in the session directory.
 *
 *  - A file of segments (layout.h). Messages are appended to one segment; when it is full, to the next
 *    free one. A segment whose last message is acknowledged is free again, and the one freed last is used
 *    first, because its memory is still in the caches.
 *  - A segment's memory is reserved when it is first used, so a small program costs little, and a full
 *    file system is an answer here and never a signal later.
 *  - A message counts once its segment's `end` includes it; whoever reads the file of a dead process sees
 *    whole messages only.
 */
#ifndef CALLTRACE_SHIP_OUTBOX_H
#define CALLTRACE_SHIP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/layout.h"

struct outbox {
    int fd;
    uint8_t *memory;
    uint32_t segments;                   /* that the file may have */
    uint32_t reserved;                   /* that have memory: 0 ... reserved - 1 */
    uint64_t next_sequence;              /* of the next message */
    uint16_t order[OUTBOX_MAX_SEGMENTS]; /* segments in use, oldest first; the last is being written */
    uint32_t in_use;
    uint16_t free[OUTBOX_MAX_SEGMENTS]; /* segments reserved and not in use, the warmest last */
    uint32_t free_count;
    uint32_t send_index;   /* the next message to send: in segment order[send_index], */
    uint64_t send_offset;  /* at this offset */
    uint64_t acknowledged; /* up to this sequence number */
};

struct outbox_message {
    const uint8_t *bytes;
    size_t size;
    uint64_t sequence;
};

/* Makes the file and reserves its first segment. Returns 0 or -errno. */
int outbox_open(struct outbox *outbox, int directory, uint64_t max_bytes);

/* Room for a message of `size` bytes, at most OUTBOX_MAX_MESSAGE. NULL: none until something is
 * acknowledged. */
#define OUTBOX_MAX_MESSAGE (1u << 20)
uint8_t *outbox_reserve(struct outbox *outbox, size_t size);

/* The message written there is whole. It has the sequence number next_sequence had. */
void outbox_commit(struct outbox *outbox, size_t size);

/* The next message to send; false: all are sent. */
bool outbox_peek(const struct outbox *outbox, struct outbox_message *message);
void outbox_sent(struct outbox *outbox);

/* Sends again from this sequence number on. -ERANGE: it is not here. */
int outbox_rewind(struct outbox *outbox, uint64_t sequence);

/* Everything up to `sequence` is committed. */
void outbox_acknowledge(struct outbox *outbox, uint64_t sequence);

#endif
