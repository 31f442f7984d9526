/*
 * Header blocks of HTTP/2 (HPACK, RFC 7541), as far as a client needs that announces
 * SETTINGS_HEADER_TABLE_SIZE = 0: every representation, both string codings and the static table are
 * read, and the dynamic table is always empty. What is written is neither indexed nor Huffman-coded.
 *
 * Pure functions: no system call, no allocation, no state between blocks.
 */
#ifndef CALLTRACE_SHIP_HPACK_H
#define CALLTRACE_SHIP_HPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest header list that is accepted: names and values, decoded, and 32 bytes for each field, as
 * SETTINGS_MAX_HEADER_LIST_SIZE counts it. */
#define HPACK_LIST_LIMIT 16384u

/* A decoded field. Not NUL-terminated, any byte may occur; valid during the callback only. */
struct hpack_field {
    const uint8_t *name;
    size_t name_size;
    const uint8_t *value;
    size_t value_size;
};

/* Returns 0 to go on, else decoding stops and returns the same. */
typedef int (*hpack_field_fn)(void *context, const struct hpack_field *field);

/*
 * Calls `on_field` for every field of a block, in order. `scratch` holds HPACK_LIST_LIMIT bytes and is
 * used while decoding. Returns 0, what on_field returned if not 0, or -EPROTO: a block that is cut short
 * or malformed, refers to the dynamic table, or holds a list larger than HPACK_LIST_LIMIT.
 */
int hpack_decode(const uint8_t *block, size_t size, uint8_t *scratch, hpack_field_fn on_field, void *context);

/* True if the field is `name`, compared byte by byte. */
bool hpack_is(const struct hpack_field *field, const char *name);

/*
 * Appends a field to `block`, of which `*used` of `capacity` bytes are in use. A `secret` is marked never
 * to be indexed by any hop. Returns 0, -EMSGSIZE when it does not fit, or -EINVAL when the name or value
 * holds anything but visible ASCII and spaces.
 */
int hpack_append(uint8_t *block, size_t capacity, size_t *used, const char *name, const char *value,
                 bool secret);

#endif
