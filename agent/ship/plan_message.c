#include "agent/ship/plan_message.h"

#include "agent/record/capture_program.h"
#include "agent/ship/proto_read.h"

/* Fields of CapturePlan and HookPlan. */
enum { MODULE = 1, COMPLETE, HOOKS };
enum { RETURN_OFFSET = 1, FUNCTION_OFFSET, LAYOUT, PROGRAM };

static int read_hook(struct proto_reader r, struct plan_hook *hook)
{
    *hook = (struct plan_hook){.program = r.at};
    struct proto_field field;
    while (r.at < r.end) {
        if (proto_read_field(&r, &field) < 0)
            return -EBADMSG;
        size_t inside = (size_t)(field.inside.end - field.inside.at);
        if (field.number == RETURN_OFFSET && field.type == WIRE_FIXED64) {
            hook->return_offset = field.value;
        } else if (field.number == FUNCTION_OFFSET && field.type == WIRE_FIXED64) {
            hook->function_offset = field.value;
        } else if (field.number == LAYOUT && field.type == WIRE_VARINT) {
            if (field.value > UINT32_MAX)
                return -EBADMSG;
            hook->layout = (uint32_t)field.value;
        } else if (field.number == PROGRAM && field.type == WIRE_BYTES) {
            if (inside > CAPTURE_PROGRAM_BYTES)
                return -EBADMSG;
            hook->program = field.inside.at;
            hook->program_bytes = (uint32_t)inside;
        }
    }
    return hook->return_offset != 0 && hook->function_offset != 0 ? 0 : -EBADMSG;
}

int plan_message_read(const uint8_t *bytes, size_t size, struct plan_message *out)
{
    *out = (struct plan_message){.bytes = bytes, .size = size};
    struct proto_reader r = {bytes, bytes + size};
    struct proto_field field;
    struct plan_hook hook;
    while (r.at < r.end) {
        if (proto_read_field(&r, &field) < 0)
            return -EBADMSG;
        if (field.number == MODULE && field.type == WIRE_VARINT) {
            if (field.value > UINT32_MAX)
                return -EBADMSG;
            out->module = (uint32_t)field.value;
        } else if (field.number == COMPLETE && field.type == WIRE_VARINT) {
            out->complete = field.value != 0;
        } else if (field.number == HOOKS && field.type == WIRE_BYTES && read_hook(field.inside, &hook) < 0) {
            return -EBADMSG;
        }
    }
    return 0;
}

const uint8_t *plan_message_hook(const struct plan_message *message, const uint8_t *at,
                                 struct plan_hook *hook)
{
    struct proto_reader r = {at != NULL ? at : message->bytes, message->bytes + message->size};
    struct proto_field field;
    while (r.at < r.end && proto_read_field(&r, &field) == 0)
        if (field.number == HOOKS && field.type == WIRE_BYTES && read_hook(field.inside, hook) == 0)
            return r.at;
    return NULL;
}
