#include "agent/ship/columns.h"

#include <errno.h>
#include <string.h>

#include "agent/life/memory.h"
#include "agent/record/capture_program.h"
#include "agent/record/compiler.h"
#include "agent/ship/encode.h"

#define DT_BYTES (ENCODE_CLOSE_BYTES + 4096u)
#define OP_BYTES (ENCODE_CLOSE_BYTES + 4096u)
/* Memory that is used when it is touched. */
#define VALUE_SIZE_BYTES (ENCODE_CLOSE_BYTES + 4096u)
#define VALUE_BYTES (ENCODE_CLOSE_BYTES + CAPTURE_BYTES)
#define MARK_BYTES (24u << 10)
#define SITE_BYTES (24u << 10)
#define STACK_BYTES (4u << 10)
/* A Site message has 20 bytes or more. */
#define NEW_ADDRESS_BYTES (2 * sizeof(uint64_t) * (SITE_BYTES / 20))
#define MEMORY_BYTES                                                                                         \
    (DT_BYTES + OP_BYTES + MARK_BYTES + SITE_BYTES + STACK_BYTES + NEW_ADDRESS_BYTES + VALUE_SIZE_BYTES +    \
     VALUE_BYTES)
/* What one record can add: some marks, a site, a stack. */
#define MARK_ROOM 384u
#define SITE_ROOM 64u
#define STACK_ROOM 64u

/* Fields of EventBatch, Site, Mark and Stack. */
enum {
    THREAD = 1,
    RING_BEGIN,
    RING_END,
    BASE_TICKS,
    FIRST_SITE,
    SITES,
    DT,
    OP,
    MARKS,
    STACKS,
    VALUE_SIZES,
    VALUES
};
enum { SITE_FUNCTION = 1, SITE_CALL_SITE, SITE_FRAME_DELTA };
enum { MARK_INDEX = 1, MARK_KIND, MARK_VALUE };
enum { STACK_THREAD = 1, STACK_BASE, STACK_SIZE };

int columns_open(struct columns *c)
{
    c->memory = memory_get(MEMORY_BYTES);
    return c->memory == NULL ? -ENOMEM : 0;
}

void columns_close(struct columns *c)
{
    memory_put(c->memory, MEMORY_BYTES);
}

void columns_begin(struct columns *c, uint32_t thread, uint32_t first_site, uint64_t base_ticks,
                   uint64_t ring_begin)
{
    c->dt = c->dt_end = c->memory;
    c->op = c->op_end = c->memory + DT_BYTES;
    c->marks = (struct proto){.bytes = c->memory + DT_BYTES + OP_BYTES, .size = MARK_BYTES};
    c->new_sites = (struct proto){.bytes = c->marks.bytes + MARK_BYTES, .size = SITE_BYTES};
    c->new_stacks = (struct proto){.bytes = c->new_sites.bytes + SITE_BYTES, .size = STACK_BYTES};
    c->new_addresses = (uint64_t *)(void *)(c->new_stacks.bytes + STACK_BYTES);
    c->new_address_count = 0;
    c->value_sizes = c->value_sizes_end = (uint8_t *)c->new_addresses + NEW_ADDRESS_BYTES;
    c->values = c->values_end = c->value_sizes + VALUE_SIZE_BYTES;
    c->sized_events = 0;
    c->events = 0;
    c->stack = thread;
    c->first_site = first_site;
    c->base_ticks = base_ticks;
    c->ring_begin = ring_begin;
}

static bool lacks(const struct proto *part, size_t bytes)
{
    return part->size - part->length < bytes;
}

/* Of the sizes of all events, where any has values: those that have none take a byte. */
static size_t value_sizes_length(const struct columns *c)
{
    size_t sized = (size_t)(c->value_sizes_end - c->value_sizes);
    return sized == 0 ? 0 : sized + c->events - c->sized_events;
}

static size_t columns_length(const struct columns *c)
{
    size_t length = (size_t)(c->dt_end - c->dt) + (size_t)(c->op_end - c->op);
    if (UNLIKELY(c->sized_events != 0))
        length += value_sizes_length(c) + (size_t)(c->values_end - c->values);
    return length;
}

bool columns_are_full(const struct columns *c)
{
    return columns_length(c) >= ENCODE_CLOSE_BYTES || c->events >= ENCODE_MAX_EVENTS ||
           lacks(&c->marks, MARK_ROOM) || lacks(&c->new_sites, SITE_ROOM) ||
           lacks(&c->new_stacks, STACK_ROOM);
}

void columns_put_mark(struct columns *c, enum mark kind, uint64_t value)
{
    uint8_t bytes[3 * (1 + VARINT_MAX_BYTES)];
    struct proto mark = {.bytes = bytes, .size = sizeof bytes};
    proto_uint(&mark, MARK_INDEX, c->events);
    proto_uint(&mark, MARK_KIND, kind);
    proto_uint(&mark, MARK_VALUE, value);
    proto_bytes(&c->marks, MARKS, bytes, mark.length);
}

void columns_put_site(struct columns *c, const struct site *site)
{
    uint8_t bytes[64];
    struct proto message = {.bytes = bytes, .size = sizeof bytes};
    proto_fixed64(&message, SITE_FUNCTION, site->function);
    proto_fixed64(&message, SITE_CALL_SITE, site->call_site);
    proto_uint(&message, SITE_FRAME_DELTA, zigzag(site->frame_delta));
    proto_bytes(&c->new_sites, SITES, bytes, message.length);
    c->new_addresses[c->new_address_count++] = site->function;
    c->new_addresses[c->new_address_count++] = site->call_site;
}

void columns_put_stack(struct columns *c, uint32_t thread, uint64_t base, uint64_t size)
{
    uint8_t bytes[3 * (1 + VARINT_MAX_BYTES)];
    struct proto message = {.bytes = bytes, .size = sizeof bytes};
    proto_uint(&message, STACK_THREAD, thread);
    proto_uint(&message, STACK_BASE, base);
    proto_uint(&message, STACK_SIZE, size);
    proto_bytes(&c->new_stacks, STACKS, bytes, message.length);
}

bool columns_have_room_for_values(const struct columns *c)
{
    size_t sizes = c->sized_events == 0 ? c->events : 0;
    return columns_length(c) + sizes < ENCODE_CLOSE_BYTES;
}

uint8_t *columns_put_values(struct columns *c, size_t bytes)
{
    size_t without = c->events - 1 - c->sized_events;
    memset(c->value_sizes_end, 0, without);
    c->value_sizes_end = put_varint(c->value_sizes_end + without, bytes);
    c->sized_events = c->events;
    uint8_t *at = c->values_end;
    c->values_end += bytes;
    return at;
}

static size_t bytes_field_size(size_t length)
{
    return length == 0 ? 0 : 1 + varint_bytes(length) + length;
}

static size_t uint_field_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + varint_bytes(value);
}

size_t columns_batch_size(const struct columns *c, uint32_t thread, uint64_t ring_end)
{
    return uint_field_size(thread) + uint_field_size(c->ring_begin) + uint_field_size(ring_end) +
           uint_field_size(c->base_ticks) + uint_field_size(c->first_site) + c->new_sites.length +
           bytes_field_size((size_t)(c->dt_end - c->dt)) + bytes_field_size((size_t)(c->op_end - c->op)) +
           c->marks.length + c->new_stacks.length + bytes_field_size(value_sizes_length(c)) +
           bytes_field_size((size_t)(c->values_end - c->values));
}

static void append(struct proto *batch, const struct proto *part)
{
    memcpy(batch->bytes + batch->length, part->bytes, part->length);
    batch->length += part->length;
}

static void append_values(struct proto *batch, const struct columns *c)
{
    size_t sized = (size_t)(c->value_sizes_end - c->value_sizes);
    size_t length = value_sizes_length(c);
    proto_tag(batch, VALUE_SIZES, WIRE_BYTES);
    proto_varint(batch, length);
    memcpy(batch->bytes + batch->length, c->value_sizes, sized);
    memset(batch->bytes + batch->length + sized, 0, length - sized);
    batch->length += length;
    proto_bytes(batch, VALUES, c->values, (size_t)(c->values_end - c->values));
}

uint8_t *columns_write_batch(const struct columns *c, uint32_t thread, uint64_t ring_end, uint8_t *at)
{
    struct proto batch = {.bytes = at, .size = SIZE_MAX / 2};
    proto_uint(&batch, THREAD, thread);
    proto_uint(&batch, RING_BEGIN, c->ring_begin);
    proto_uint(&batch, RING_END, ring_end);
    proto_uint(&batch, BASE_TICKS, c->base_ticks);
    proto_uint(&batch, FIRST_SITE, c->first_site);
    append(&batch, &c->new_sites);
    if (c->events != 0) {
        proto_bytes(&batch, DT, c->dt, (size_t)(c->dt_end - c->dt));
        proto_bytes(&batch, OP, c->op, (size_t)(c->op_end - c->op));
    }
    append(&batch, &c->marks);
    append(&batch, &c->new_stacks);
    if (c->sized_events != 0)
        append_values(&batch, c);
    return at + batch.length;
}
