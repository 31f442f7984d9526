#include "agent/ship/crash_memory.h"

#include <string.h>

#include "agent/life/dispositions.h"
#include "agent/life/maps.h"
#include "agent/life/sys.h"

#define RED_ZONE_BYTES 128
#define CODE_BYTES 64
#define ADDRESS_END (1ull << 47)
/* In a signal frame, from the restorer's address that begins it (life/signal_frame.c). */
#define FRAME_STACK_POINTER_OFFSET 168

enum { STACK_POINTER = 7, INSTRUCTION_POINTER = 16 };

/* Fields of MemoryRange. */
enum { ADDRESS = 1, CONTENT };

struct stack {
    uint64_t begin, end;
};

long crash_memory_read(const struct crash_memory *m, uint64_t address, void *to, size_t size)
{
    return sys_call6(SYS_pread64, m->memory_fd, (long)to, (long)size, (long)address, 0, 0);
}

/* Reads up to the first page that is not there, passing over one such page at the beginning. Returns the
 * bytes read into the scratch, and in `begin` where they lie. */
static size_t read_range(const struct crash_memory *m, uint64_t *begin, uint64_t end)
{
    size_t length = 0;
    for (int skipped = 0; skipped < 2 && length == 0; skipped++) {
        while (*begin + length < end) {
            long got = crash_memory_read(m, *begin + length, m->scratch + length, end - *begin - length);
            if (got <= 0)
                break;
            length += (size_t)got;
        }
        if (length == 0)
            *begin = (*begin | (CALLTRACE_PAGE - 1)) + 1;
    }
    return length;
}

static void add_range(struct crash_ranges *ranges, uint64_t begin, uint64_t end)
{
    if (begin >= end || end > ADDRESS_END || ranges->count == CRASH_MOST_RANGES)
        return;
    size_t i = ranges->count++;
    for (; i > 0 && ranges->list[i - 1].begin > begin; i--)
        ranges->list[i] = ranges->list[i - 1];
    ranges->list[i].begin = begin;
    ranges->list[i].end = end;
}

/* The mapping that the stack pointer is in, or, where it has run out of its stack, the one above. */
static bool find_stack(const struct crash_memory *m, uint64_t stack_pointer, uint64_t stack_base,
                       struct stack *stack)
{
    struct maps_reader reader;
    struct mapping mapping;
    if (stack_pointer < RED_ZONE_BYTES || maps_begin(&reader, m->maps_fd) < 0)
        return false;
    do {
        if (maps_next(&reader, &mapping) <= 0)
            return false;
    } while (mapping.end <= stack_pointer || !mapping.readable);
    *stack = (struct stack){mapping.start, mapping.end};
    /* What is mapped next to it may look like a part of it. */
    if (stack_base > stack->begin && stack_base < stack->end && stack_base > stack_pointer)
        stack->end = (stack_base | (CALLTRACE_PAGE - 1)) + 1;
    return true;
}

static void add_stack(struct crash_ranges *ranges, const struct stack *stack, uint64_t begin)
{
    if (stack->end - begin <= CRASH_STACK_BYTES) {
        add_range(ranges, begin, stack->end);
        return;
    }
    uint64_t first_end = begin + CRASH_STACK_BYTES;
    uint64_t last_begin = stack->end - CRASH_STACK_END_BYTES;
    ranges->cut |= last_begin > first_end;
    add_range(ranges, begin, first_end);
    add_range(ranges, last_begin > first_end ? last_begin : first_end, stack->end);
}

/* Where a handler runs on a stack of its own, its signal frame tells which one it was called from. Returns
 * the stack pointer there, or 0. */
static uint64_t find_caller(const struct crash_memory *m, const struct stack *stack, uint64_t begin)
{
    uint64_t restorer = disposition_restorer();
    uint64_t end = begin + CRASH_STACK_BYTES < stack->end ? begin + CRASH_STACK_BYTES : stack->end;
    begin &= ~7ull;
    size_t length = restorer != 0 ? read_range(m, &begin, end) : 0;
    for (size_t at = 0; at + FRAME_STACK_POINTER_OFFSET + 8 <= length; at += 8) {
        uint64_t word, stack_pointer;
        memcpy(&word, m->scratch + at, sizeof word);
        memcpy(&stack_pointer, m->scratch + at + FRAME_STACK_POINTER_OFFSET, sizeof stack_pointer);
        if (word == restorer && (stack_pointer < stack->begin || stack_pointer >= stack->end))
            return stack_pointer;
    }
    return 0;
}

void crash_memory_choose(const struct crash_memory *m, const struct crash_slot *slot, uint64_t stack_base,
                         struct crash_ranges *ranges)
{
    uint64_t stack_pointer = slot->general[STACK_POINTER];
    for (int i = 0; i < CRASH_MOST_STACKS && stack_pointer != 0; i++) {
        struct stack stack;
        if (!find_stack(m, stack_pointer, stack_base, &stack))
            break;
        uint64_t begin = stack_pointer - RED_ZONE_BYTES;
        if (begin < stack.begin)
            begin = stack.begin;
        add_stack(ranges, &stack, begin);
        stack_pointer = find_caller(m, &stack, begin);
    }
    uint64_t at = slot->general[INSTRUCTION_POINTER];
    if (at >= CODE_BYTES / 2)
        add_range(ranges, at - CODE_BYTES / 2, at + CODE_BYTES / 2);
}

void crash_memory_put(const struct crash_memory *m, const struct crash_ranges *ranges, struct proto *p,
                      uint32_t field)
{
    for (size_t i = 0; i < ranges->count; i++) {
        uint64_t begin = ranges->list[i].begin;
        size_t length = read_range(m, &begin, ranges->list[i].end);
        if (length == 0)
            continue;
        proto_tag(p, field, WIRE_BYTES);
        proto_varint(p, 1 + sizeof begin + 1 + varint_bytes(length) + length);
        proto_fixed64(p, ADDRESS, begin);
        proto_bytes(p, CONTENT, m->scratch, length);
    }
}
