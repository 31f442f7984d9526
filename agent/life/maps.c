#include "agent/life/maps.h"

#include <string.h>
#include <unistd.h>

#include "agent/life/sys.h"

int maps_begin(struct maps_reader *r, int fd)
{
    r->fd = fd;
    r->begin = r->end = 0;
    r->cut = false;
    long status = sys_call3(SYS_lseek, fd, 0, SEEK_SET);
    return status < 0 ? (int)status : 0;
}

/* Reads more behind what is not taken yet. Returns the bytes read, 0 at the end, or -errno. */
static long read_more(struct maps_reader *r)
{
    memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->end == sizeof r->buffer) {
        r->end = 0;
        r->cut = true;
    }
    long got = sys_read(r->fd, r->buffer + r->end, sizeof r->buffer - r->end);
    if (got > 0)
        r->end += (size_t)got;
    return got;
}

/* Finds the next line, NUL-terminated in the buffer. Returns 1, 0 at the end, or -errno. */
static int next_line(struct maps_reader *r, char **line)
{
    for (;;) {
        *line = r->buffer + r->begin;
        char *newline = memchr(*line, '\n', r->end - r->begin);
        if (newline == NULL) {
            long got = read_more(r);
            if (got <= 0)
                return (int)got;
            continue;
        }
        *newline = '\0';
        r->begin = (size_t)(newline - r->buffer) + 1;
        if (!r->cut)
            return 1;
        r->cut = false;
    }
}

static uint64_t take_number(char **at, unsigned base)
{
    uint64_t value = 0;
    for (;; ++*at) {
        char c = **at;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

static void skip(char **at, size_t count)
{
    while (count-- > 0 && **at != '\0')
        ++*at;
}

int maps_next(struct maps_reader *r, struct mapping *mapping)
{
    /* start-end rwxp offset major:minor inode   path */
    char *at;
    int status = next_line(r, &at);
    if (status <= 0)
        return status;
    mapping->start = take_number(&at, 16);
    skip(&at, 1);
    mapping->end = take_number(&at, 16);
    skip(&at, 1);
    mapping->readable = *at == 'r';
    skip(&at, 2);
    mapping->executable = *at == 'x';
    skip(&at, 3);
    mapping->offset = take_number(&at, 16);
    skip(&at, 1);
    take_number(&at, 16);
    skip(&at, 1);
    take_number(&at, 16);
    skip(&at, 1);
    mapping->inode = take_number(&at, 10);
    while (*at == ' ')
        at++;
    size_t length = strlen(at);
    bool fits = length < sizeof mapping->path;
    memcpy(mapping->path, at, fits ? length + 1 : 0);
    if (!fits)
        mapping->path[0] = '\0';
    return 1;
}
