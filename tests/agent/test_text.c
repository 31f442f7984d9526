/* Strings in fixed buffers. */
#include "agent/life/text.h"

#include <inttypes.h>

#include "tests/agent/check.h"

static void test_pieces(void)
{
    char buffer[128];
    memset(buffer, 'x', sizeof buffer);
    struct text t = text_in(buffer, sizeof buffer);
    CHECK(strcmp(buffer, "") == 0);
    text_add(&t, "ring.");
    text_add_number(&t, 0);
    text_add(&t, "");
    text_add_bytes(&t, ":ab\0cd", 3);
    text_add_number(&t, UINT64_MAX);
    text_add_hex(&t, (const uint8_t *)"\x00\x09\xa0\xff", 4);
    CHECK(strcmp(buffer, "ring.0:ab184467440737095516150009a0ff") == 0);
    CHECK_EQUAL(t.length, strlen(buffer));
    CHECK(!t.cut);
}

static void test_numbers(void)
{
    /* Every number of digits, at both its ends. */
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++, power *= 10) {
        const uint64_t numbers[] = {power - 1, power, power + 1};
        for (int i = 0; i < 3; i++) {
            char buffer[32], expected[32];
            struct text t = text_in(buffer, sizeof buffer);
            text_add_number(&t, numbers[i]);
            snprintf(expected, sizeof expected, "%" PRIu64, numbers[i]);
            CHECK(strcmp(buffer, expected) == 0);
        }
    }
}

/* Whatever the size of the buffer: what fits is there, it is a string, and nothing is written behind it. */
static void test_cut(void)
{
    static const char whole[] = "name 1234567890 0ff0 end";
    for (size_t size = 1; size <= sizeof whole + 2; size++) {
        char buffer[sizeof whole + 8];
        memset(buffer, '#', sizeof buffer);
        struct text t = text_in(buffer, size);
        text_add(&t, "name ");
        text_add_number(&t, 1234567890);
        text_add(&t, " ");
        text_add_hex(&t, (const uint8_t *)"\x0f\xf0", 2);
        text_add(&t, " end");
        size_t fits = size - 1 < strlen(whole) ? size - 1 : strlen(whole);
        CHECK_EQUAL(t.length, fits);
        CHECK(memcmp(buffer, whole, fits) == 0 && buffer[fits] == '\0');
        CHECK_EQUAL(t.cut, size < sizeof whole);
        for (size_t i = size; i < sizeof buffer; i++)
            CHECK(buffer[i] == '#');
    }
}

int main(void)
{
    test_pieces();
    test_numbers();
    test_cut();
    return 0;
}
