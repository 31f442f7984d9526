/*
 * Reading what the program's pointers lead to, wherever that is: never a fault.
 *
 *  - The thread's own stack, from the hook's frame up, and what nobody writes to in the executable are read
 *    directly: they stay as long as the frame, or the process, does.
 *  - All else is read by the kernel (process_vm_readv), which says when nothing is there.
 *
 * No call of libc's: the program may have a memcpy of its own, with hooks.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_MEMORY_H
#define CALLTRACE_RECORD_CAPTURE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/capture_run.h"
#include "agent/record/unaligned.h"

#define CAPTURE_NOT_READABLE SIZE_MAX

/* Sanitizers would object to reading the program's stack, or make calls. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))

/* Copies `size` bytes, or returns false. */
bool capture_read(const struct capture_context *context, uint64_t address, void *to, size_t size);

/* Copies bytes up to a zero, or `most` bytes. Returns how many came before the zero, or `most`;
 * CAPTURE_NOT_READABLE: there is nothing to read before either. May write more of the `most` bytes at `to`.
 */
size_t capture_read_text(const struct capture_context *context, uint64_t address, uint8_t *to, size_t most);

/* How far down the thread's own stack is known to be mapped, given how far that was known before (at first
 * its base). What lies between the result and the base may be read as long as `stack_pointer` is in it too;
 * where it is not, the thread is on another stack. */
uint64_t capture_stack_low(uint64_t stack_pointer, uint64_t low, uint64_t base);

/* Notes a part of a file that can be read, and not written, as long as the process is. Before any hook
 * captures. */
void capture_memory_lasts(uint64_t begin, uint64_t end);

bool capture_memory_is_lasting(uint64_t address);

/* In a forked child: this process is another than before, and no part of it is known to last yet. */
void capture_memory_forget(void);

/* Eight bytes that are known to be there. */
static inline UNCHECKED uint64_t capture_read_word(uint64_t address)
{
    return *(const unaligned_u64 *)(uintptr_t)address;
}

#endif
