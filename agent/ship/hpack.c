/* See hpack.h. */
#include "agent/ship/hpack.h"

#include <errno.h>
#include <string.h>

#include "agent/ship/hpack_tables.h"

enum {
    FIELD_OVERHEAD = 32,        /* what a field costs besides its bytes (RFC 7541, 4.1) */
    INTEGER_LIMIT = 0x0fffffff, /* beyond any size that could be right */
    INDEXED = 0x80,             /* the representations' first bits (RFC 7541, 6) */
    LITERAL_INDEXING = 0x40,
    SIZE_UPDATE = 0x20,
    LITERAL_NEVER = 0x10,
    HUFFMAN = 0x80, /* of a string's length */
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *scratch; /* where the next Huffman-coded string goes */
    size_t scratch_left;
};

/* Reads an integer whose first byte keeps `bits` bits for it (RFC 7541, 5.1). */
static int read_integer(struct reader *r, unsigned bits, uint32_t *result)
{
    uint32_t mask = (1u << bits) - 1;
    if (r->at == r->end)
        return -EPROTO;
    uint32_t value = *r->at++ & mask;
    if (value == mask) {
        uint8_t byte;
        unsigned shift = 0;
        do {
            /* Four more bytes carry all that is below the limit; padding with zeros is of no use. */
            if (r->at == r->end || shift > 21)
                return -EPROTO;
            byte = *r->at++;
            value += (uint32_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte & 0x80);
    }
    if (value > INTEGER_LIMIT)
        return -EPROTO;
    *result = value;
    return 0;
}

/*
 * Decodes a Huffman-coded string into `out`. Walks the canonical code: at each length, the codes are
 * `first` to `first + count - 1`, and `rank` counts the symbols of all shorter ones.
 */
static int decode_huffman(const uint8_t *in, size_t size, uint8_t *out, size_t capacity, size_t *decoded)
{
    uint32_t code = 0;
    uint32_t first = 0;
    uint32_t rank = 0;
    unsigned length = 0;
    size_t used = 0;
    for (size_t bit = 0; bit < size * 8; bit++) {
        code = code << 1 | (in[bit / 8] >> (7 - bit % 8) & 1);
        first <<= 1;
        length++;
        uint32_t count = HUFFMAN_COUNTS[length];
        if (code - first >= count) {
            first += count;
            rank += count;
            continue;
        }
        rank += code - first;
        if (rank >= HUFFMAN_SYMBOLS || used == capacity)
            return -EPROTO;
        out[used++] = HUFFMAN_ORDER[rank];
        code = first = rank = length = 0;
    }
    /* What is left over pads the last byte, with the most significant bits of EOS: all ones. */
    if (length > 7 || code != (1u << length) - 1)
        return -EPROTO;
    *decoded = used;
    return 0;
}

static int read_string(struct reader *r, const uint8_t **string, size_t *size)
{
    uint32_t coded;
    bool huffman = r->at < r->end && (*r->at & HUFFMAN) != 0;
    int error = read_integer(r, 7, &coded);
    if (error != 0)
        return error;
    if (coded > (size_t)(r->end - r->at))
        return -EPROTO;
    const uint8_t *start = r->at;
    r->at += coded;
    if (!huffman) {
        *string = start;
        *size = coded;
        return 0;
    }
    error = decode_huffman(start, coded, r->scratch, r->scratch_left, size);
    if (error != 0)
        return error;
    *string = r->scratch;
    r->scratch += *size;
    r->scratch_left -= *size;
    return 0;
}

/* Takes the name, and the value if asked, of an entry; the dynamic table being empty, of a static one. */
static int look_up(uint32_t index, struct hpack_field *field, bool with_value)
{
    if (index == 0 || index > STATIC_ENTRIES)
        return -EPROTO;
    field->name = (const uint8_t *)STATIC_TABLE[index - 1].name;
    field->name_size = strlen(STATIC_TABLE[index - 1].name);
    if (with_value) {
        field->value = (const uint8_t *)STATIC_TABLE[index - 1].value;
        field->value_size = strlen(STATIC_TABLE[index - 1].value);
    }
    return 0;
}

static int read_literal(struct reader *r, unsigned index_bits, struct hpack_field *field)
{
    uint32_t index;
    int error = read_integer(r, index_bits, &index);
    if (error != 0)
        return error;
    if (index != 0)
        error = look_up(index, field, false);
    else
        error = read_string(r, &field->name, &field->name_size);
    if (error != 0)
        return error;
    return read_string(r, &field->value, &field->value_size);
}

static int read_field(struct reader *r, struct hpack_field *field)
{
    uint8_t first = *r->at;
    if (first & INDEXED) {
        uint32_t index;
        int error = read_integer(r, 7, &index);
        return error != 0 ? error : look_up(index, field, true);
    }
    if (first & LITERAL_INDEXING) /* larger than a table of no bytes, so that nothing is added to it */
        return read_literal(r, 6, field);
    if (first & SIZE_UPDATE) /* only at the start of a block, where hpack_decode() takes it */
        return -EPROTO;
    return read_literal(r, 4, field);
}

/* Takes the changes of the dynamic table's size that a block may begin with; none but to 0 is allowed. */
static int read_size_updates(struct reader *r)
{
    while (r->at < r->end && (*r->at & (INDEXED | LITERAL_INDEXING | SIZE_UPDATE)) == SIZE_UPDATE) {
        uint32_t size;
        int error = read_integer(r, 5, &size);
        if (error != 0)
            return error;
        if (size != 0)
            return -EPROTO;
    }
    return 0;
}

int hpack_decode(const uint8_t *block, size_t size, uint8_t *scratch, hpack_field_fn on_field, void *context)
{
    struct reader r = {.at = block, .end = block + size};
    size_t list_left = HPACK_LIST_LIMIT;
    int error = read_size_updates(&r);
    while (error == 0 && r.at < r.end) {
        struct hpack_field field;
        r.scratch = scratch;
        r.scratch_left = HPACK_LIST_LIMIT;
        error = read_field(&r, &field);
        if (error != 0)
            break;
        size_t cost = field.name_size + field.value_size + FIELD_OVERHEAD;
        if (cost > list_left)
            return -EPROTO;
        list_left -= cost;
        error = on_field(context, &field);
    }
    return error;
}

bool hpack_is(const struct hpack_field *field, const char *name)
{
    return field->name_size == strlen(name) && memcmp(field->name, name, field->name_size) == 0;
}

static int append_string(uint8_t *block, size_t capacity, size_t *used, const char *string)
{
    size_t size = strlen(string);
    uint8_t length[6];
    size_t length_size = 0;
    if (size > INTEGER_LIMIT)
        return -EMSGSIZE;
    for (size_t i = 0; i < size; i++)
        if (string[i] < ' ' || string[i] > '~')
            return -EINVAL;
    if (size < 0x7f) {
        length[length_size++] = (uint8_t)size;
    } else {
        size_t rest = size - 0x7f;
        length[length_size++] = 0x7f;
        for (; rest > 0x7f; rest >>= 7)
            length[length_size++] = (uint8_t)(rest | 0x80);
        length[length_size++] = (uint8_t)rest;
    }
    if (capacity - *used < length_size || capacity - *used - length_size < size)
        return -EMSGSIZE;
    memcpy(block + *used, length, length_size);
    memcpy(block + *used + length_size, string, size);
    *used += length_size + size;
    return 0;
}

int hpack_append(uint8_t *block, size_t capacity, size_t *used, const char *name, const char *value,
                 bool secret)
{
    if (*used == capacity)
        return -EMSGSIZE;
    block[(*used)++] = secret ? LITERAL_NEVER : 0;
    int error = append_string(block, capacity, used, name);
    return error != 0 ? error : append_string(block, capacity, used, value);
}
