/*
 * Modules: the files mapped for execution, found in /proc/self/maps and in their own ELF headers.
 *
 * Read by the flusher, which libc's lists of loaded objects are not safe for. Memory is read through
 * /proc/self/mem, since another thread may unmap it at any moment.
 */
#ifndef CALLTRACE_LIFE_MODULES_H
#define CALLTRACE_LIFE_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODULE_PATH_BYTES 1024
#define MODULE_BUILD_ID_BYTES 64
#define MODULE_SEGMENTS 16

struct module {
    uint32_t number;
    uint64_t start; /* address of the file's first mapped byte */
    uint64_t end;   /* behind its last mapping */
    uint64_t load_bias;
    uint64_t loaded_ticks;
    uint64_t unloaded_ticks; /* 0: it is there */
    uint64_t inode;
    bool seen;     /* in the scan that is going on */
    bool announce; /* its message is to be sent */
    bool held;     /* but not before what was recorded until now has been encoded */
    bool planned;  /* what is to be captured in it is known (ship/plans.h) */
    bool settled;  /* no thread waits for that */
    uint8_t build_id[MODULE_BUILD_ID_BYTES];
    size_t build_id_bytes;
    uint32_t segments;
    struct {
        uint64_t address, size_bytes, file_offset;
        uint32_t flags;
    } segment[MODULE_SEGMENTS];
    char path[MODULE_PATH_BYTES];
};

struct modules {
    struct module *list; /* gone ones stay until announced, then their place is used again */
    size_t count;
    size_t capacity;
    uint32_t next_number;
    int memory_fd; /* /proc/self/mem */
    int maps_fd;
    uint64_t covered_start; /* the module that modules_cover() found last */
    uint64_t covered_end;
};

/* Whether the place in the list is taken, by a module that has not gone. */
static inline bool module_is_there(const struct module *module)
{
    return module->path[0] != '\0' && module->unloaded_ticks == 0;
}

int modules_open(struct modules *modules);

/* Looks what is mapped now; `now_ticks` is 0 the first time. Changed modules have `announce` set.
 *
 * Returns whether a module has gone, so that addresses may mean other code than before. Such a module is
 * held, for what was recorded until now is its own. No scan may follow before modules_release(). */
bool modules_scan(struct modules *modules, uint64_t now_ticks);

/* Asked after a scan that returned true: whether anything is mapped already where a module was. Then nobody
 * knows whose the code is that ran there in between, and it is the others that are held. */
bool modules_replaced(struct modules *modules);

/* All that was recorded before the scan has been encoded. */
void modules_release(struct modules *modules);

/* Whether a known module is, or was before the scan, mapped at the address. */
bool modules_cover(struct modules *modules, uint64_t address);

/* Writes the body of a Module message; returns its size. MODULE_MESSAGE_BYTES suffice. */
#define MODULE_MESSAGE_BYTES 2560
size_t module_describe(const struct module *module, uint8_t *at, size_t size);

/* The module has been announced. */
void module_announced(struct module *module);

#endif
