/* What was captured of the calls of a chunk; the layout is in values.h. */
#include "calltrace_collector/core/values.h"

#include <string.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/reader.h"

int values_reserve(struct values *values, uint64_t more)
{
    return more ? array_reserve(&values->bytes, &values->capacity, values->size + more, 1) : 0;
}

void values_add(struct values *values, uint32_t event, const uint8_t *bytes, uint32_t size)
{
    uint8_t *at = values->bytes + values->size;
    if (!values->size)
        at = varint_write(at, VALUES_FORMAT);
    at = varint_write(at, event - values->next_event);
    at = varint_write(at, size);
    memcpy(at, bytes, size);
    values->size = (size_t)(at - values->bytes) + size;
    values->next_event = event + 1;
}

int ct_values_decode(const uint8_t *values, size_t size, uint32_t events, uint32_t *starts, uint32_t *sizes)
{
    struct reader bytes = reader_of(values, size);
    uint32_t event = 0;
    if (events)
        memset(sizes, 0, events * sizeof(*sizes));
    if (!size)
        return 0;
    if (size > UINT32_MAX || read_varint(&bytes) != VALUES_FORMAT)
        return CT_EMALFORMED;
    while (bytes.at < bytes.end) {
        uint64_t skipped = read_varint(&bytes);
        uint64_t its_size = read_at_most(&bytes, CT_VALUE_BYTES);
        const uint8_t *its_bytes = read_bytes(&bytes, its_size);
        if (!its_bytes || skipped >= events - event)
            return CT_EMALFORMED;
        event += (uint32_t)skipped;
        starts[event] = (uint32_t)(its_bytes - values);
        sizes[event++] = (uint32_t)its_size;
    }
    return 0;
}
