/*
 * Reading protobuf from a buffer whose bytes may be anything.
 */
#ifndef CALLTRACE_SHIP_PROTO_READ_H
#define CALLTRACE_SHIP_PROTO_READ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/ship/proto.h"

#define WIRE_FIXED32 5

struct proto_reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct proto_field {
    uint64_t number;
    unsigned type;              /* enum wire_type, or WIRE_FIXED32 */
    uint64_t value;             /* of a varint or 64 bits; else 0 */
    struct proto_reader inside; /* of bytes; else empty */
};

static inline int proto_read_varint(struct proto_reader *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return 0;
    }
    return -EBADMSG;
}

/* Takes the next field; there must be more bytes. Returns 0 or -EBADMSG. */
static inline int proto_read_field(struct proto_reader *r, struct proto_field *field)
{
    uint64_t tag, size = 0;
    if (proto_read_varint(r, &tag) < 0)
        return -EBADMSG;
    *field = (struct proto_field){.number = tag >> 3, .type = tag & 7, .inside = {r->end, r->end}};
    switch (field->type) {
    case WIRE_VARINT:
        return proto_read_varint(r, &field->value);
    case WIRE_FIXED64:
        size = sizeof field->value;
        break;
    case WIRE_BYTES:
        if (proto_read_varint(r, &size) < 0)
            return -EBADMSG;
        break;
    case WIRE_FIXED32:
        size = sizeof(uint32_t);
        break;
    default:
        return -EBADMSG;
    }
    if (size > (uint64_t)(r->end - r->at))
        return -EBADMSG;
    if (field->type == WIRE_FIXED64)
        memcpy(&field->value, r->at, sizeof field->value);
    if (field->type == WIRE_BYTES)
        field->inside = (struct proto_reader){r->at, r->at + size};
    r->at += size;
    return 0;
}

#endif
