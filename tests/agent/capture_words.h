/* Writing capture programs, and a table of what each operation is in C. */
#ifndef CALLTRACE_TESTS_AGENT_CAPTURE_WORDS_H
#define CALLTRACE_TESTS_AGENT_CAPTURE_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/record/capture_program.h"

struct words {
    uint8_t bytes[CAPTURE_PROGRAM_BYTES + 64];
    size_t size;
};

static inline void put(struct words *w, uint64_t value, size_t size)
{
    memcpy(w->bytes + w->size, &value, size);
    w->size += size;
}

static inline void put_constant(struct words *w, uint64_t value)
{
    put(w, OP_CONST64, 1);
    put(w, value, 8);
}

static inline void put_register(struct words *w, unsigned number)
{
    put(w, OP_REGISTER, 1);
    put(w, number, 1);
}

/* An item that leaves what a register holds. */
static inline void put_register_item(struct words *w, enum capture_op op, unsigned number, unsigned size)
{
    put(w, ITEM_VALUE, 1);
    put(w, size, 1);
    put(w, op, 1);
    put(w, number, 1);
    put(w, OP_END, 1);
}

/* An item about an address: memory of a size, or a text. */
static inline void put_memory_item(struct words *w, uint64_t address, unsigned size)
{
    put(w, ITEM_MEMORY, 1);
    put(w, size, 2);
    put_constant(w, address);
    put(w, OP_END, 1);
}

static inline void put_text_item(struct words *w, uint64_t address)
{
    put(w, ITEM_TEXT, 1);
    put_constant(w, address);
    put(w, OP_END, 1);
}

#endif
