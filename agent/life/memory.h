/*
 * Memory straight from the kernel: the program's allocator may be instrumented itself, hold a lock at this
 * moment, or be replaced. Whole pages, zeroed, not inherited by a forked child.
 */
#ifndef CALLTRACE_LIFE_MEMORY_H
#define CALLTRACE_LIFE_MEMORY_H

#include <stddef.h>
#include <sys/mman.h>

#include "agent/life/sys.h"

/* NULL when there is none. */
static inline void *memory_get(size_t size)
{
    void *at = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sys_is_error(at))
        return NULL;
    sys_madvise(at, size, MADV_DONTFORK);
    return at;
}

static inline void memory_put(void *at, size_t size)
{
    if (at != NULL)
        sys_munmap(at, size);
}

/* Moves to a larger place; NULL, with the old one untouched, when there is none. */
static inline void *memory_grow(void *at, size_t old_size, size_t new_size)
{
    void *moved = sys_mremap(at, old_size, new_size, MREMAP_MAYMOVE);
    return sys_is_error(moved) ? NULL : moved;
}

#endif
