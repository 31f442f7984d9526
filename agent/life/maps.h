/*
 * Reading /proc/self/maps, a line at a time.
 */
#ifndef CALLTRACE_LIFE_MAPS_H
#define CALLTRACE_LIFE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/life/modules.h"

struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint64_t inode;
    bool readable;
    bool executable;
    char path[MODULE_PATH_BYTES]; /* empty: none, or longer than this */
};

struct maps_reader {
    int fd;
    size_t begin; /* of what is not taken yet */
    size_t end;
    bool cut; /* what is there is the rest of a line that was too long */
    char buffer[8192];
};

/* Starts at the beginning of the file. Returns 0 or -errno. */
int maps_begin(struct maps_reader *reader, int fd);

/* Takes the next line, passing over one longer than any path. Returns 1, 0 at the end, or -errno. */
int maps_next(struct maps_reader *reader, struct mapping *mapping);

#endif
