/* The fields of an encoded protobuf message (https://protobuf.dev/programming-guides/encoding/). */
#include "calltrace_collector/core/wire.h"

#include <stdbool.h>

#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/varint.h"

enum { TYPE_GROUP = 3, TYPE_GROUP_END = 4, MAX_GROUPS = 100 };

static int read_fixed(struct wire *wire, size_t size, uint64_t *value)
{
    if ((size_t)(wire->end - wire->at) < size)
        return CT_EMALFORMED;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)wire->at[i] << (8 * i);
    wire->at += size;
    return 0;
}

static int read_varint(struct wire *wire, uint64_t *value)
{
    const uint8_t *next = varint_read(wire->at, wire->end, value);
    if (!next)
        return CT_EMALFORMED;
    wire->at = next;
    return 0;
}

static int read_bytes(struct wire *wire, struct wire_field *field)
{
    uint64_t size;
    if (read_varint(wire, &size) || size > (uint64_t)(wire->end - wire->at))
        return CT_EMALFORMED;
    field->bytes = wire->at;
    field->size = (size_t)size;
    wire->at += size;
    return 0;
}

/* Field number and wire type. */
static int read_tag(struct wire *wire, uint32_t *number, unsigned *type)
{
    uint64_t tag;
    if (read_varint(wire, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return CT_EMALFORMED;
    *number = (uint32_t)(tag >> 3);
    *type = tag & 7;
    return 0;
}

static int read_value(struct wire *wire, unsigned type, struct wire_field *field)
{
    field->type = (enum wire_type)type;
    switch (type) {
    case WIRE_VARINT:
        return read_varint(wire, &field->value);
    case WIRE_FIXED64:
        return read_fixed(wire, 8, &field->value);
    case WIRE_FIXED32:
        return read_fixed(wire, 4, &field->value);
    case WIRE_BYTES:
        return read_bytes(wire, field);
    default:
        return CT_EMALFORMED;
    }
}

/* Steps behind the end of the group `number`, whose begin has been read. */
static int skip_group(struct wire *wire, uint32_t number)
{
    uint32_t open[MAX_GROUPS] = {number};
    size_t depth = 1;
    struct wire_field skipped;
    while (depth) {
        unsigned type;
        if (read_tag(wire, &number, &type))
            return CT_EMALFORMED;
        if (type == TYPE_GROUP) {
            if (depth == MAX_GROUPS)
                return CT_EMALFORMED;
            open[depth++] = number;
        } else if (type == TYPE_GROUP_END) {
            if (open[--depth] != number)
                return CT_EMALFORMED;
        } else if (read_value(wire, type, &skipped)) {
            return CT_EMALFORMED;
        }
    }
    return 0;
}

int wire_next(struct wire *wire, struct wire_field *field)
{
    while (wire->at < wire->end) {
        unsigned type;
        if (read_tag(wire, &field->number, &type))
            return CT_EMALFORMED;
        if (type != TYPE_GROUP)
            return read_value(wire, type, field) ? CT_EMALFORMED : 1;
        if (skip_group(wire, field->number))
            return CT_EMALFORMED;
    }
    return 0;
}
