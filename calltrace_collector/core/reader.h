/* Reads untrusted bytes: the first thing that is not there makes everything after it 0 and `failed` set. */
#ifndef CALLTRACE_CORE_READER_H
#define CALLTRACE_CORE_READER_H

#include <stdbool.h>

#include "calltrace_collector/core/varint.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(const uint8_t *bytes, size_t size)
{
    return (struct reader){bytes, size ? bytes + size : bytes, false};
}

static inline uint64_t read_varint(struct reader *reader)
{
    uint64_t value;
    const uint8_t *next = varint_read(reader->at, reader->end, &value);
    if (!next) {
        reader->failed = true;
        reader->at = reader->end;
        return 0;
    }
    reader->at = next;
    return value;
}

/* A varint that must not be larger than `most`. */
static inline uint64_t read_at_most(struct reader *reader, uint64_t most)
{
    uint64_t value = read_varint(reader);
    if (value <= most)
        return value;
    reader->failed = true;
    return 0;
}

/* `size` bytes; NULL when they are not there. */
static inline const uint8_t *read_bytes(struct reader *reader, size_t size)
{
    const uint8_t *bytes = reader->at;
    if (reader->failed || (size_t)(reader->end - reader->at) < size) {
        reader->failed = true;
        return NULL;
    }
    reader->at += size;
    return bytes;
}

#endif
