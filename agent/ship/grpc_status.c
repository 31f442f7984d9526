/* See grpc_status.h. */
#include "agent/ship/grpc_status.h"

#include <stdbool.h>
#include <string.h>

/* The HTTP/2 error codes that mean more than that something went wrong (RFC 9113, 7). */
enum {
    HTTP2_REFUSED_STREAM = 7,
    HTTP2_CANCEL = 8,
    HTTP2_ENHANCE_YOUR_CALM = 11,
    HTTP2_INADEQUATE_SECURITY = 12,
    HTTP2_LAST_CODE = 13,
};

bool grpc_status_is_final(int status)
{
    return status == GRPC_INVALID_ARGUMENT || status == GRPC_PERMISSION_DENIED ||
           status == GRPC_UNIMPLEMENTED || status == GRPC_UNAUTHENTICATED;
}

int grpc_status_parse(const uint8_t *text, size_t size)
{
    if (size == 0 || size > 2)
        return GRPC_UNKNOWN;
    int status = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return GRPC_UNKNOWN;
        status = status * 10 + (text[i] - '0');
    }
    return status <= GRPC_UNAUTHENTICATED ? status : GRPC_UNKNOWN;
}

int grpc_status_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

int grpc_status_of_reset(uint32_t code)
{
    switch (code) {
    case HTTP2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case HTTP2_CANCEL:
        return GRPC_CANCELLED;
    case HTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case HTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return code <= HTTP2_LAST_CODE ? GRPC_INTERNAL : GRPC_UNKNOWN;
    }
}

/* Returns the value of a hexadecimal digit, or -1. */
static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns how many bytes were written. What is no percent-encoding stands for itself. */
static size_t decode_percent(uint8_t *out, size_t capacity, const uint8_t *in, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < size && used < capacity; i++) {
        int high = in[i] == '%' && size - i > 2 ? digit(in[i + 1]) : -1;
        int low = high >= 0 ? digit(in[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        out[used++] = low >= 0 ? (uint8_t)(high << 4 | low) : in[i];
    }
    return used;
}

static bool is_printable(uint32_t point)
{
    if (point < 0xa0)
        return point >= ' ' && point <= '~';
    if (point >= 0xd800 && point <= 0xdfff)
        return false; /* a surrogate: malformed in UTF-8 */
    if (point >= 0x200b && point <= 0x200f)
        return false; /* without width, or of direction */
    if (point >= 0x2028 && point <= 0x202e)
        return false; /* separators of lines and paragraphs; of direction */
    return !(point >= 0x2066 && point <= 0x2069) && point != 0xfeff && point <= 0x10ffff;
}

/* Returns the size of the printable character at `at`, or 0. */
static size_t printable_size(const uint8_t *at, size_t left)
{
    static const uint32_t LEAST[5] = {0, 0, 0x80, 0x800, 0x10000}; /* that may take so many bytes */
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (size == 0 || size > left || at[0] > 0xf4)
        return 0;
    uint32_t point = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    return point >= LEAST[size] && is_printable(point) ? size : 0;
}

void grpc_status_text(char *text, size_t capacity, const uint8_t *encoded, size_t size)
{
    uint8_t *bytes = (uint8_t *)text;
    size_t used = decode_percent(bytes, capacity - 1, encoded, size);
    for (size_t i = 0; i < used;) {
        size_t character = printable_size(bytes + i, used - i);
        if (character == 0)
            bytes[i] = '?';
        i += character == 0 ? 1 : character;
    }
    text[used] = '\0';
}

void grpc_status_describe(char *out, size_t capacity, const char *text, uint32_t number)
{
    char digits[10];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);

    size_t used = 0;
    for (; *text != '\0' && used < capacity - 1; text++)
        out[used++] = *text;
    while (count > 0 && used < capacity - 1)
        out[used++] = digits[--count];
    out[used] = '\0';
}
