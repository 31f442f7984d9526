/* Running a capture program in a test, and memory that ends where nothing can be read. */
#ifndef CALLTRACE_TESTS_AGENT_CAPTURE_TRIAL_H
#define CALLTRACE_TESTS_AGENT_CAPTURE_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#include "agent/record/capture_run.h"
#include "tests/agent/capture_words.h"

#define TRIAL_PAGE 4096u
#define TRIAL_LIMIT 64u /* of texts */
#define TRIAL_LAYOUT 77u
#define TRIAL_BIAS 0x10000u

struct trial {
    uint8_t bytes[CAPTURE_BYTES + 64];
    size_t size;
    uint64_t frame;
};

/* The registers that programs are run with; all 0 at first. */
extern struct capture_registers trial_registers;

/* Runs a program that must be one; checks that it writes nothing behind the room that it has asked for. */
struct trial trial_run(const struct words *program, uint64_t stack_end);

/* Two pages, of which the second cannot be read. */
uint8_t *trial_pages(void);

uint64_t trial_random(void);

#endif
