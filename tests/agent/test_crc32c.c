/* The checksum, by the instruction and bit by bit. */
#include <stdbool.h>

/* Its two ways of computing are its own; here both are to be had. */
#include "agent/ship/crc32c.c"

#include "tests/agent/check.h"

/* RFC 3720 appendix B.4, and the check value of the catalogue of parametrised CRC algorithms. */
static void test_known_values(void)
{
    uint8_t bytes[48];
    CHECK_EQUAL(crc32c(0, "", 0), 0);
    CHECK_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32);
    CHECK_EQUAL(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_EQUAL(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQUAL(crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    CHECK_EQUAL(crc32c(0, bytes, 32), 0x113fdb5c);
    static const uint8_t read_command[48] = {
        [0] = 0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    CHECK_EQUAL(crc32c(0, read_command, 48), 0xd9963a56);
}

static void test_pieces_and_alignment(void)
{
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t begin = 0; begin < 9; begin++) {
        for (size_t end = begin; end <= sizeof bytes; end++) {
            uint32_t whole = crc32c(0, bytes + begin, end - begin);
            CHECK_EQUAL(whole, ~crc_bits(~0u, bytes + begin, end - begin));
            size_t middle = begin + (end - begin) / 3;
            uint32_t first = crc32c(0, bytes + begin, middle - begin);
            CHECK_EQUAL(crc32c(first, bytes + middle, end - middle), whole);
        }
    }
}

int main(void)
{
    test_known_values();
    test_pieces_and_alignment();
    return 0;
}
