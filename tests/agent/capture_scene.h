/* Hooks that capture, called with registers that are known, and what they leave in the ring. */
#ifndef CALLTRACE_TESTS_AGENT_CAPTURE_SCENE_H
#define CALLTRACE_TESTS_AGENT_CAPTURE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/capture_run.h"
#include "agent/record/layout.h"

/* ThreadSanitizer keeps signals back until a system call of its own. */
#if defined(__SANITIZE_THREAD__)
#define CAN_INTERRUPT false
#else
#define CAN_INTERRUPT true
#endif

#define SCENE_ENTRY_LAYOUT 11u
#define SCENE_EXIT_LAYOUT 12u
#define SCENE_MOST_RECORDS 64

/* Functions by what their hooks capture: nothing; all registers and a sum, by 33 values of 8 bytes; the text
 * "far", which takes a system call and much less room than it might, and the register that holds the
 * function. */
#define PLAIN 0x401000u
#define READS 0x402000u
#define SAVES 0x403000u

/* Calls a hook with the general registers (but rsp) and xmm0 to xmm7 of `set`, and writes those behind the
 * call to `got`. */
typedef void scene_call(const struct capture_registers *set, struct capture_registers *got);
scene_call plain_entry, plain_exit, saves_entry, saves_exit, reads_entry, reads_exit;

/* Registers that differ from each other, with a function and a call site as a hook's arguments. */
struct capture_registers scene_registers(uint64_t function);

/* The three functions' hooks, called with those registers. */
void scene_entry(uint64_t function);
void scene_exit(uint64_t function);

/* Makes the plans, and in a new directory a ring for this thread, whose stack is below main's frame. */
struct ring_header *scene_open(const void *frame_of_main);
void scene_close(void);

/* ---- what lies in the ring ---- */

struct seen {
    unsigned kind;
    uint64_t function, call_site, ticks;
    uint64_t words; /* of a void record */
    uint32_t layout;
    size_t size;
    const uint8_t *values; /* behind the layout's number; NULL: none */
};

extern struct seen scene_records[SCENE_MOST_RECORDS];
extern size_t scene_count;

/* Reads what was published since the last time, as layout.h says; it may then be written over. */
void scene_read(void);

/* The value of 8 bytes that a record has at a place. */
uint64_t scene_value(const struct seen *seen, size_t index);

/* Checks that a record is what the hook of a function is to leave. */
void scene_check(const struct seen *seen, unsigned kind, uint64_t function);

#endif
