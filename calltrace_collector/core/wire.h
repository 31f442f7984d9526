/* The fields of an encoded protobuf message, one after the other. */
#ifndef CALLTRACE_CORE_WIRE_H
#define CALLTRACE_CORE_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;       /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
    const uint8_t *bytes; /* WIRE_BYTES */
    size_t size;
};

struct wire {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct wire wire_of(const uint8_t *bytes, size_t size)
{
    return (struct wire){bytes, size ? bytes + size : bytes};
}

/* Reads the next field and steps over groups, which none of our messages has. Returns 1; 0: there is none;
 * CT_EMALFORMED. */
int wire_next(struct wire *wire, struct wire_field *field);

#endif
