/*
 * Writing protobuf into a buffer: varints, tags, and lengths known beforehand.
 */
#ifndef CALLTRACE_SHIP_PROTO_H
#define CALLTRACE_SHIP_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/ship/utf8.h"

#define VARINT_MAX_BYTES 10

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

/* Writes without checking; VARINT_MAX_BYTES must be free. Returns what comes behind. */
static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t varint_bytes(uint64_t value)
{
    return value == 0 ? 1 : (size_t)((63 - __builtin_clzll(value)) / 7 + 1);
}

static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* A message being written, with checks; `full` is set instead of writing past the end. */
struct proto {
    uint8_t *bytes;
    size_t size; /* of the buffer */
    size_t length;
    bool full;
};

static inline bool proto_has_room(struct proto *p, size_t bytes)
{
    if (p->size - p->length < bytes)
        p->full = true;
    return !p->full;
}

static inline void proto_varint(struct proto *p, uint64_t value)
{
    if (proto_has_room(p, VARINT_MAX_BYTES))
        p->length = (size_t)(put_varint(p->bytes + p->length, value) - p->bytes);
}

static inline void proto_tag(struct proto *p, uint32_t field, enum wire_type type)
{
    proto_varint(p, (uint64_t)field << 3 | type);
}

/* A scalar field; the default 0 is not written, as proto3 has it. */
static inline void proto_uint(struct proto *p, uint32_t field, uint64_t value)
{
    if (value == 0)
        return;
    proto_tag(p, field, WIRE_VARINT);
    proto_varint(p, value);
}

static inline void proto_fixed64(struct proto *p, uint32_t field, uint64_t value)
{
    proto_tag(p, field, WIRE_FIXED64);
    if (!proto_has_room(p, sizeof value))
        return;
    memcpy(p->bytes + p->length, &value, sizeof value);
    p->length += sizeof value;
}

/* A bytes, string, message or packed field. An empty one is written too: an element may be empty. */
static inline void proto_bytes(struct proto *p, uint32_t field, const void *bytes, size_t length)
{
    proto_tag(p, field, WIRE_BYTES);
    proto_varint(p, length);
    if (!proto_has_room(p, length))
        return;
    memcpy(p->bytes + p->length, bytes, length);
    p->length += length;
}

/* A string field: of names and paths, which may be any bytes, what is no UTF-8 becomes question marks. */
static inline void proto_text(struct proto *p, uint32_t field, const char *text, size_t length)
{
    proto_bytes(p, field, text, length);
    if (!p->full)
        utf8_clean(p->bytes + p->length - length, length);
}

static inline void proto_string(struct proto *p, uint32_t field, const char *string)
{
    if (*string != '\0')
        proto_text(p, field, string, strlen(string));
}

#endif
