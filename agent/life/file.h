/*
 * Small files of the kernel's.
 */
#ifndef CALLTRACE_LIFE_FILE_H
#define CALLTRACE_LIFE_FILE_H

#include <fcntl.h>
#include <stddef.h>

#include "agent/life/sys.h"

/* Reads a file from its beginning, NUL-terminated, at most size - 1 bytes. Returns the length or -errno;
 * the buffer is a string in any case. */
static inline long file_read(const char *path, char *buffer, size_t size)
{
    buffer[0] = '\0';
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    size_t length = 0;
    long got;
    while (length < size - 1 && (got = sys_read(fd, buffer + length, size - 1 - length)) > 0)
        length += (size_t)got;
    sys_close(fd);
    buffer[length] = '\0';
    return (long)length;
}

/* The same for a one-line file: without the line's end. */
static inline long file_read_line(const char *path, char *buffer, size_t size)
{
    long length = file_read(path, buffer, size);
    for (long i = 0; i < length; i++) {
        if (buffer[i] != '\n')
            continue;
        buffer[i] = '\0';
        return i;
    }
    return length;
}

#endif
