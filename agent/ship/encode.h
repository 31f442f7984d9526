/*
 * Records become EventBatch messages (proto/calltrace/v1/events.proto). Pure: no input or output.
 *
 * Used by the agent's flusher, and by a collector that reads the ring of a process that died.
 */
#ifndef CALLTRACE_SHIP_ENCODE_H
#define CALLTRACE_SHIP_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/columns.h"
#include "agent/ship/sites.h"
#include "agent/ship/stacks.h"

/* An encoded EventBatch is smaller than this. */
#define ENCODE_MAX_BYTES (256u << 10)
/* Events in a batch, and bytes of columns after which it is closed. */
#define ENCODE_MAX_EVENTS (1u << 16)
#define ENCODE_CLOSE_BYTES (190u << 10)

/* What the encoder remembers of a thread. */
struct encode_thread {
    uint32_t number;
    uint64_t position;   /* in the ring: up to here it is encoded */
    uint64_t last_ticks; /* of the last event sent */
    uint64_t dropped;    /* events dropped, as far as the marks sent have told */
    /* Calls are open that are too deep to be sent, and that nobody remembers: a call's exit that is no
     * other's is theirs. */
    bool forgot_cut_calls;
    struct stacks stacks;
};

int encode_thread_open(struct encode_thread *thread, uint32_t number, uint64_t started_ticks,
                       uint64_t stack_base);
void encode_thread_close(struct encode_thread *thread);

/* The ring's words; word `position` lies at words[position & mask]. */
struct ring_words {
    const uint64_t *words;
    uint64_t mask;
};

/* Shared by the threads of a process; one batch is in the making at a time. */
struct encoder {
    struct ring_words ring; /* that is being encoded */
    uint64_t values;        /* where in it the captured values of the record are */
    uint32_t value_bytes;   /* 0: it has none */
    uint32_t values_sp;     /* bits 18-33 of its stack pointer */
    struct sites sites;
    struct columns columns;
    uint32_t max_depth;    /* 0: no limit */
    uint32_t *next_thread; /* Thread.number that the next new stack gets */
};

int encoder_open(struct encoder *encoder, uint32_t first_site, uint32_t max_depth, uint32_t *next_thread);
void encoder_close(struct encoder *encoder);

/* Encodes records from thread->position on, up to `end` or until the batch is full, into the columns, and
 * moves thread->position. Returns the number of words consumed. -EBADMSG or -ENOMEM: the record at
 * thread->position cannot be, or there is no memory for it; what came before it is in the columns. */
int64_t encode_records(struct encoder *encoder, struct encode_thread *thread, struct ring_words ring,
                       uint64_t end);

/* Tells of events dropped that no record tells of, in a batch of their own: `dropped` is how many there have
 * been since the ring got its thread. Returns false, with no batch, when there are none. */
bool encode_drops(struct encoder *encoder, struct encode_thread *thread, uint64_t dropped);

/* Ends what is open on a thread that has ended, in a batch of its own. Returns false, with no batch, when
 * nothing is. */
bool encode_end(struct encoder *encoder, struct encode_thread *thread, uint64_t ended_ticks);

/* Gives up the records from thread->position to `end`, which cannot be read: they count as one event
 * dropped. Follows encode_records() with the same batch. */
void encode_skip(struct encoder *encoder, struct encode_thread *thread, uint64_t end);

/* Size of the EventBatch that the columns make. */
size_t encode_batch_size(const struct encoder *encoder, const struct encode_thread *thread);

/* Writes the EventBatch; encode_batch_size() bytes must be free. Returns what comes behind. */
uint8_t *encode_batch(const struct encoder *encoder, const struct encode_thread *thread, uint8_t *at);

#endif
