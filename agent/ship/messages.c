#include "agent/ship/messages.h"

#include <errno.h>

#include "agent/ship/proto_read.h"

/* Fields of CollectorMessage, Welcome and Ack. */
enum { WELCOME = 1, ACK, CAPTURE_PLAN };
enum { FIRST_FIELD = 1 };

/* The number in field 1 of the message inside. */
static int read_number(struct proto_reader inside, uint64_t *number)
{
    struct proto_field field;
    while (inside.at < inside.end) {
        if (proto_read_field(&inside, &field) < 0)
            return -EBADMSG;
        if (field.number == FIRST_FIELD)
            *number = field.type == WIRE_VARINT ? field.value : 0;
    }
    return 0;
}

int message_read(const uint8_t *bytes, size_t size, struct collector_message *out)
{
    *out = (struct collector_message){0};
    struct proto_reader r = {bytes, bytes + size};
    struct proto_field field;
    while (r.at < r.end) {
        if (proto_read_field(&r, &field) < 0)
            return -EBADMSG;
        if (field.number == WELCOME && read_number(field.inside, &out->welcome_next_sequence) < 0)
            return -EBADMSG;
        if (field.number == ACK && read_number(field.inside, &out->ack_sequence) < 0)
            return -EBADMSG;
        if (field.number == CAPTURE_PLAN && field.type == WIRE_BYTES) {
            out->capture_plan = field.inside.at;
            out->capture_plan_bytes = (size_t)(field.inside.end - field.inside.at);
        }
    }
    return 0;
}
