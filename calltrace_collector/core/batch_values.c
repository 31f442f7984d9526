/* The captured values of a batch's events. */
#include "calltrace_collector/core/batch_values.h"

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/varint.h"
#include "calltrace_collector/core/wire.h"

/* A number of a layout is in front of all values. */
enum { LEAST_BYTES = 4 };

/* The sizes read so far. */
struct sizes {
    struct batch *batch;
    uint32_t count;
    uint64_t sum;
};

static int add_size(struct sizes *sizes, uint64_t value)
{
    uint32_t size = (uint32_t)value; /* as any parser of protobuf does */
    if (sizes->count == sizes->batch->events)
        return CT_EMALFORMED;
    if (size > CT_VALUE_BYTES)
        return CT_ELIMIT;
    if (size && size < LEAST_BYTES)
        return CT_EMALFORMED;
    sizes->sum += size;
    if (sizes->sum > UINT32_MAX)
        return CT_ELIMIT;
    sizes->batch->value_starts[++sizes->count] = (uint32_t)sizes->sum;
    return 0;
}

static int add_sizes(struct sizes *sizes, const struct wire_field *field)
{
    if (field->type == WIRE_VARINT)
        return add_size(sizes, field->value);
    if (field->type != WIRE_BYTES)
        return 0;
    const uint8_t *at = field->bytes, *end = at + field->size;
    int status = 0;
    while (!status && at < end) {
        uint64_t value;
        at = varint_read(at, end, &value);
        if (!at)
            return CT_EMALFORMED;
        status = add_size(sizes, value);
    }
    return status;
}

int batch_read_values(struct batch *batch, const uint8_t *bytes, size_t size)
{
    struct sizes sizes = {batch, 0, 0};
    struct wire wire = wire_of(bytes, size);
    struct wire_field field;
    size_t values_size = 0;
    int status = array_reserve(&batch->value_starts, &batch->value_capacity, (size_t)batch->events + 1,
                               sizeof(*batch->value_starts));
    if (status)
        return status;
    batch->value_starts[0] = 0;
    while (!status && wire_next(&wire, &field) > 0) {
        if (field.number == BATCH_VALUE_SIZES)
            status = add_sizes(&sizes, &field);
        if (field.number != BATCH_VALUES || field.type != WIRE_BYTES)
            continue;
        batch->values = field.bytes;
        values_size = field.size;
    }
    if (status)
        return status;
    if (sizes.sum != values_size || (sizes.count && sizes.count != batch->events))
        return CT_EMALFORMED;
    if (!values_size)
        batch->values = NULL;
    return 0;
}
