/*
 * The messages of the stream (proto/calltrace/v1/): what they are numbered, and the small ones.
 */
#ifndef CALLTRACE_SHIP_MESSAGES_H
#define CALLTRACE_SHIP_MESSAGES_H

#include <stdint.h>

#include "agent/record/clock.h"
#include "agent/ship/proto.h"

/* Fields of AgentMessage. */
enum {
    MESSAGE_SEQUENCE = 1,
    MESSAGE_PROCESS,
    MESSAGE_MODULE,
    MESSAGE_THREAD,
    MESSAGE_BATCH,
    MESSAGE_CLOCK,
    MESSAGE_GOODBYE
};

/* Bytes that the envelope of a body of less than 2^28 bytes takes at most. */
#define MESSAGE_ENVELOPE_BYTES 32u

/* A clock reading as a field of another message. */
static inline void message_put_clock(struct proto *p, uint32_t field, const struct clock_reading *reading)
{
    enum { TICKS = 1, MONOTONIC_NS, REALTIME_NS };
    uint8_t bytes[64];
    struct proto clock = {.bytes = bytes, .size = sizeof bytes};
    proto_uint(&clock, TICKS, reading->ticks);
    proto_uint(&clock, MONOTONIC_NS, reading->monotonic_ns);
    proto_uint(&clock, REALTIME_NS, reading->realtime_ns);
    proto_bytes(p, field, bytes, clock.length);
}

/* Writes sequence number, tag and size of a body; at most MESSAGE_ENVELOPE_BYTES. Returns what comes
 * behind. */
static inline uint8_t *message_begin(uint8_t *at, uint64_t sequence, uint32_t field, size_t body_size)
{
    *at++ = MESSAGE_SEQUENCE << 3 | WIRE_VARINT;
    at = put_varint(at, sequence);
    *at++ = (uint8_t)(field << 3 | WIRE_BYTES);
    return put_varint(at, body_size);
}

/* What the collector says, of which one is set. */
struct collector_message {
    uint64_t welcome_next_sequence; /* 0: not a welcome */
    uint64_t ack_sequence;          /* 0: not an ack */
    const uint8_t *capture_plan;    /* NULL: not a CapturePlan (plan_message.h) */
    size_t capture_plan_bytes;
};

/* Reads a CollectorMessage, skipping what it does not know. Returns 0 or -EBADMSG. */
int message_read(const uint8_t *bytes, size_t size, struct collector_message *out);

#endif
