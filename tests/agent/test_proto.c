/* Writing protobuf, compared with bytes worked out by hand from the encoding's description. */
#include "agent/ship/proto.h"

#include "tests/agent/check.h"

static void test_varints(void)
{
    static const struct {
        uint64_t value;
        size_t size;
        uint8_t bytes[VARINT_MAX_BYTES];
    } known[] = {
        {0, 1, {0x00}},
        {1, 1, {0x01}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 0x01}},
        {150, 2, {0x96, 0x01}},
        {300, 2, {0xac, 0x02}},
        {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
        {1ull << 63, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
        {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t bytes[VARINT_MAX_BYTES];
        CHECK_EQUAL(put_varint(bytes, known[i].value) - bytes, known[i].size);
        CHECK(memcmp(bytes, known[i].bytes, known[i].size) == 0);
    }
}

static void test_varint_sizes(void)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    CHECK_EQUAL(varint_bytes(0), 1);
    for (int bit = 0; bit < 64; bit++) {
        const uint64_t values[] = {(1ull << bit) - 1, 1ull << bit, (1ull << bit) + 1};
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(varint_bytes(values[i]), put_varint(bytes, values[i]) - bytes);
    }
}

static void test_zigzag(void)
{
    CHECK_EQUAL(zigzag(0), 0);
    CHECK_EQUAL(zigzag(-1), 1);
    CHECK_EQUAL(zigzag(1), 2);
    CHECK_EQUAL(zigzag(-2), 3);
    CHECK(zigzag(INT64_MAX) == UINT64_MAX - 1);
    CHECK(zigzag(INT64_MIN) == UINT64_MAX);
}

static void put_all(struct proto *p)
{
    proto_uint(p, 1, 150);
    proto_uint(p, 2, 0); /* the default: not written */
    proto_string(p, 3, "testing");
    proto_string(p, 4, ""); /* nor this */
    proto_bytes(p, 5, "", 0);
    proto_fixed64(p, 16, 0x0102030405060708);
}

static const uint8_t all[] = {0x08, 0x96, 0x01, 0x1a, 7, 't', 'e', 's', 't', 'i', 'n', 'g',
                              0x2a, 0,    0x81, 0x01, 8, 7,   6,   5,   4,   3,   2,   1};

static void test_fields(void)
{
    uint8_t bytes[64];
    struct proto p = {.bytes = bytes, .size = sizeof bytes};
    put_all(&p);
    CHECK(!p.full);
    CHECK_EQUAL(p.length, sizeof all);
    CHECK(memcmp(bytes, all, sizeof all) == 0);
}

/* A buffer of any size is either enough, or said to be full; nothing is written behind it. */
static void test_full(void)
{
    bool was_enough = false;
    for (size_t size = 0; size <= sizeof all + VARINT_MAX_BYTES; size++) {
        uint8_t bytes[64];
        memset(bytes, 0xee, sizeof bytes);
        struct proto p = {.bytes = bytes, .size = size};
        put_all(&p);
        CHECK(p.length <= size);
        for (size_t i = size; i < sizeof bytes; i++)
            CHECK(bytes[i] == 0xee);
        CHECK(p.full || (p.length == sizeof all && memcmp(bytes, all, sizeof all) == 0));
        CHECK(p.full || size >= sizeof all);
        CHECK(!(was_enough && p.full));
        was_enough = !p.full;
    }
    CHECK(was_enough);
}

int main(void)
{
    test_varints();
    test_varint_sizes();
    test_zigzag();
    test_fields();
    test_full();
    return 0;
}
