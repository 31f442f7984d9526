/* Decodes an EventBatch (proto/calltrace/v1/events.proto). */
#include "calltrace_collector/core/batch.h"

#include <stdbool.h>
#include <stdlib.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/batch_values.h"
#include "calltrace_collector/core/varints.h"
#include "calltrace_collector/core/wire.h"

enum batch_field {
    BATCH_THREAD = 1,
    BATCH_RING_BEGIN = 2,
    BATCH_RING_END = 3,
    BATCH_BASE_TICKS = 4,
    BATCH_FIRST_SITE = 5,
    BATCH_SITES = 6,
    BATCH_DT = 7,
    BATCH_OP = 8,
    BATCH_MARKS = 9,
    BATCH_STACKS = 10,
};

enum site_field { SITE_FUNCTION_ADDRESS = 1, SITE_CALL_SITE_ADDRESS = 2, SITE_FRAME_DELTA = 3 };
enum stack_field { STACK_THREAD = 1, STACK_BASE = 2, STACK_SIZE = 3 };
enum mark_field { MARK_FIELD_INDEX = 1, MARK_FIELD_KIND = 2, MARK_FIELD_VALUE = 3 };

/* Where the columns lie. Nearly always each is one packed field. */
struct columns {
    uint64_t dt_count;
    uint64_t op_count;
    uint32_t dt_pieces;
    uint32_t op_pieces;
    struct varints dt;
    struct varints op;
    bool has_values;
};

void batch_free(struct batch *batch)
{
    free(batch->dt);
    free(batch->op);
    free(batch->sites);
    free(batch->marks);
    free(batch->stacks);
    free(batch->value_starts);
}

static int count_column(const struct wire_field *field, uint64_t *count, uint32_t *pieces,
                        struct varints *last)
{
    if (field->type == WIRE_VARINT) {
        *pieces += 2; /* not one packed field */
        *count += 1;
        return 0;
    }
    if (field->type != WIRE_BYTES)
        return 0;
    if (field->size && field->bytes[field->size - 1] >= 0x80)
        return CT_EMALFORMED;
    *last = varints_of(field->bytes, field->size);
    *pieces += 1;
    *count += varints_count(*last);
    return 0;
}

static void read_scalar(struct batch *batch, const struct wire_field *field)
{
    if (field->type != WIRE_VARINT)
        return;
    switch (field->number) {
    case BATCH_THREAD:
        batch->thread = (uint32_t)field->value;
        break;
    case BATCH_RING_BEGIN:
        batch->ring_begin = field->value;
        break;
    case BATCH_RING_END:
        batch->ring_end = field->value;
        break;
    case BATCH_BASE_TICKS:
        batch->base_ticks = field->value;
        break;
    case BATCH_FIRST_SITE:
        batch->first_site = (uint32_t)field->value;
        break;
    default:
        break;
    }
}

static int read_site(struct batch *batch, const struct wire_field *message)
{
    struct wire wire = wire_of(message->bytes, message->size);
    struct wire_field field;
    struct ct_site site = {0};
    int status;

    while ((status = wire_next(&wire, &field)) > 0) {
        if (field.number == SITE_FUNCTION_ADDRESS && field.type == WIRE_FIXED64)
            site.function_address = field.value;
        else if (field.number == SITE_CALL_SITE_ADDRESS && field.type == WIRE_FIXED64)
            site.call_site_address = field.value;
        else if (field.number == SITE_FRAME_DELTA && field.type == WIRE_VARINT)
            site.frame_delta_bytes = zigzag_decode(field.value);
    }
    if (!status)
        status =
            array_reserve(&batch->sites, &batch->site_capacity, (size_t)batch->site_count + 1, sizeof(site));
    if (!status)
        batch->sites[batch->site_count++] = site;
    return status;
}

static int read_mark(struct batch *batch, const struct wire_field *message)
{
    struct wire wire = wire_of(message->bytes, message->size);
    struct wire_field field;
    struct mark mark = {0};
    int status;

    while ((status = wire_next(&wire, &field)) > 0) {
        if (field.type != WIRE_VARINT)
            continue;
        if (field.number == MARK_FIELD_INDEX)
            mark.index = (uint32_t)field.value;
        else if (field.number == MARK_FIELD_KIND)
            mark.kind = (uint32_t)field.value;
        else if (field.number == MARK_FIELD_VALUE)
            mark.value = field.value;
    }
    if (!status)
        status =
            array_reserve(&batch->marks, &batch->mark_capacity, (size_t)batch->mark_count + 1, sizeof(mark));
    if (!status)
        batch->marks[batch->mark_count++] = mark;
    return status;
}

static int read_stack(struct batch *batch, const struct wire_field *message)
{
    struct wire wire = wire_of(message->bytes, message->size);
    struct wire_field field;
    struct new_stack stack = {0};
    int status;

    while ((status = wire_next(&wire, &field)) > 0) {
        if (field.type != WIRE_VARINT)
            continue;
        if (field.number == STACK_THREAD)
            stack.thread = (uint32_t)field.value;
        else if (field.number == STACK_BASE)
            stack.stack_base = field.value;
        else if (field.number == STACK_SIZE)
            stack.size_bytes = field.value;
    }
    if (!status)
        status = array_reserve(&batch->stacks, &batch->stack_capacity, (size_t)batch->stack_count + 1,
                               sizeof(stack));
    if (!status)
        batch->stacks[batch->stack_count++] = stack;
    return status;
}

/* Reads everything but the columns, and finds those. */
static int read_fields(struct batch *batch, struct wire wire, struct columns *columns)
{
    struct wire_field field;
    int status;
    while ((status = wire_next(&wire, &field)) > 0) {
        int failed = 0;
        if (field.number == BATCH_DT)
            failed = count_column(&field, &columns->dt_count, &columns->dt_pieces, &columns->dt);
        else if (field.number == BATCH_OP)
            failed = count_column(&field, &columns->op_count, &columns->op_pieces, &columns->op);
        else if (field.number == BATCH_SITES && field.type == WIRE_BYTES)
            failed = read_site(batch, &field);
        else if (field.number == BATCH_MARKS && field.type == WIRE_BYTES)
            failed = read_mark(batch, &field);
        else if (field.number == BATCH_STACKS && field.type == WIRE_BYTES)
            failed = read_stack(batch, &field);
        else if (field.number == BATCH_VALUE_SIZES || field.number == BATCH_VALUES)
            columns->has_values = true;
        else
            read_scalar(batch, &field);
        if (failed)
            return failed;
    }
    return status;
}

/* Where the next elements of the columns go. */
struct cursor {
    uint64_t *dt;
    uint32_t *op;
};

static void put_element(struct cursor *cursor, uint32_t number, uint64_t value)
{
    if (number == BATCH_DT)
        *cursor->dt++ = value;
    else
        *cursor->op++ = (uint32_t)value;
}

/* Columns in several pieces, packed or not, as any writer of protobuf may send them. */
static int read_pieces(struct batch *batch, struct wire wire)
{
    struct cursor cursor = {batch->dt, batch->op};
    struct wire_field field;
    while (wire_next(&wire, &field) > 0) {
        if (field.number != BATCH_DT && field.number != BATCH_OP)
            continue;
        if (field.type == WIRE_VARINT)
            put_element(&cursor, field.number, field.value);
        if (field.type != WIRE_BYTES)
            continue;
        for (struct varints piece = varints_of(field.bytes, field.size); piece.at < piece.end;) {
            uint64_t value;
            piece.at = varint_read(piece.at, piece.end, &value);
            if (!piece.at)
                return CT_EMALFORMED;
            put_element(&cursor, field.number, value);
        }
    }
    return 0;
}

static int read_columns(struct batch *batch, struct wire wire, const struct columns *columns)
{
    if (columns->dt_count != columns->op_count || columns->dt_count > UINT32_MAX)
        return CT_EMALFORMED;
    batch->events = (uint32_t)columns->dt_count;
    int status = array_reserve(&batch->dt, &batch->dt_capacity, batch->events, sizeof(*batch->dt));
    if (!status)
        status = array_reserve(&batch->op, &batch->op_capacity, batch->events, sizeof(*batch->op));
    if (status)
        return status;
    if (columns->dt_pieces > 1 || columns->op_pieces > 1)
        return read_pieces(batch, wire);
    return varints_read_pairs(columns->dt, columns->op, batch->dt, batch->op, batch->events) ? 0
                                                                                             : CT_EMALFORMED;
}

int batch_decode(struct batch *batch, const uint8_t *bytes, size_t size)
{
    struct wire wire = wire_of(bytes, size);
    struct columns columns = {0};

    batch->thread = batch->first_site = batch->events = batch->site_count = batch->mark_count = 0;
    batch->stack_count = 0;
    batch->ring_begin = batch->ring_end = batch->base_ticks = 0;
    batch->values = NULL;
    int status = read_fields(batch, wire, &columns);
    if (!status)
        status = read_columns(batch, wire, &columns);
    if (!status && columns.has_values)
        status = batch_read_values(batch, bytes, size);
    return status;
}
