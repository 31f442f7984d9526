/*
 * Text for protobuf strings, which must be UTF-8.
 */
#ifndef CALLTRACE_SHIP_UTF8_H
#define CALLTRACE_SHIP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins here; 0: none does. Neither overlong forms nor surrogates are. */
static inline size_t utf8_length(const uint8_t *at, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (length < 2)
        return length;
    if (length > size)
        return 0;
    uint32_t character = *at & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        character = character << 6 | (at[i] & 0x3f);
    }
    if (character < least[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
        return 0;
    return length;
}

/* Replaces what is no UTF-8 by question marks. */
static inline void utf8_clean(void *bytes, size_t size)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(at + i, size - i);
        if (length == 0) {
            at[i] = '?';
            length = 1;
        }
        i += length;
    }
}

#endif
