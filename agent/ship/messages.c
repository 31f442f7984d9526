#include "agent/ship/messages.h"

#include <errno.h>

/* Fields of CollectorMessage, Welcome and Ack. */
enum { WELCOME = 1, ACK = 2 };
enum { FIRST_FIELD = 1 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static int read_varint(struct reader *r, uint64_t *value)
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

/* Reads a field: its number, and its value or (bytes) what is inside of it. */
static int read_field(struct reader *r, uint64_t *field, uint64_t *value, struct reader *inside)
{
    uint64_t tag;
    if (read_varint(r, &tag) < 0)
        return -EBADMSG;
    *field = tag >> 3;
    *inside = (struct reader){r->end, r->end};
    uint64_t size = 0;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(r, value);
    case WIRE_FIXED64:
        size = 8;
        break;
    case WIRE_BYTES:
        if (read_varint(r, &size) < 0)
            return -EBADMSG;
        break;
    case 5: /* 32 bits */
        size = 4;
        break;
    default:
        return -EBADMSG;
    }
    if (size > (uint64_t)(r->end - r->at))
        return -EBADMSG;
    *inside = (struct reader){r->at, r->at + size};
    r->at += size;
    return 0;
}

/* The number in field 1 of the message inside. */
static int read_number(struct reader inside, uint64_t *number)
{
    while (inside.at < inside.end) {
        struct reader deeper;
        uint64_t field, value = 0;
        if (read_field(&inside, &field, &value, &deeper) < 0)
            return -EBADMSG;
        if (field == FIRST_FIELD)
            *number = value;
    }
    return 0;
}

int message_read(const uint8_t *bytes, size_t size, struct collector_message *out)
{
    *out = (struct collector_message){0};
    struct reader r = {bytes, bytes + size};
    while (r.at < r.end) {
        struct reader inside;
        uint64_t field, value;
        if (read_field(&r, &field, &value, &inside) < 0)
            return -EBADMSG;
        uint64_t *number = field == WELCOME ? &out->welcome_next_sequence
                           : field == ACK   ? &out->ack_sequence
                                            : NULL;
        if (number != NULL && read_number(inside, number) < 0)
            return -EBADMSG;
    }
    return 0;
}
