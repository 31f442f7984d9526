/*
 * Strings in fixed buffers, without libc's formatting (which allocates and has locales).
 */
#ifndef CALLTRACE_LIFE_TEXT_H
#define CALLTRACE_LIFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *bytes;
    size_t size; /* of the buffer */
    size_t length;
    bool cut; /* something did not fit */
};

static inline struct text text_in(char *buffer, size_t size)
{
    buffer[0] = '\0';
    return (struct text){buffer, size, 0, false};
}

static inline void text_add_bytes(struct text *t, const char *bytes, size_t length)
{
    size_t room = t->size - 1 - t->length;
    if (length > room) {
        length = room;
        t->cut = true;
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = '\0';
}

static inline void text_add(struct text *t, const char *string)
{
    text_add_bytes(t, string, strlen(string));
}

static inline void text_add_number(struct text *t, uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    text_add_bytes(t, digits + n, sizeof digits - n);
}

static inline void text_add_hex(struct text *t, const uint8_t *bytes, size_t count)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        char pair[2] = {digit[bytes[i] >> 4], digit[bytes[i] & 15]};
        text_add_bytes(t, pair, 2);
    }
}

#endif
