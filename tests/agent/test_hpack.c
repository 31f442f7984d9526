/* HPACK: the examples of RFC 7541, appendix C, and blocks that must be refused. */
#include "agent/ship/hpack.h"

#include <errno.h>
#include <string.h>

#include "tests/agent/check.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static uint8_t scratch[HPACK_LIST_LIMIT];
static char seen[4096]; /* "name: value\n" for every field */

static int note(void *context, const struct hpack_field *field)
{
    size_t *fields = context;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%.*s: %.*s\n", (int)field->name_size,
             (const char *)field->name, (int)field->value_size, (const char *)field->value);
    return ++*fields == 20 ? -ECANCELED : 0;
}

static int decode(const uint8_t *block, size_t size)
{
    /* A copy of its exact size, so that a sanitizer sees a read beyond it. */
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    size_t fields = 0;
    if (size > 0)
        memcpy(copy, block, size);
    seen[0] = '\0';
    int result = hpack_decode(copy, size, scratch, note, &fields);
    free(copy);
    return result;
}

static void check_fields(const uint8_t *block, size_t size, const char *expected)
{
    CHECK_EQUAL(decode(block, size), 0);
    if (strcmp(seen, expected) != 0) {
        fprintf(stderr, "decoded:\n%sexpected:\n%s", seen, expected);
        exit(1);
    }
}

static void test_examples(void)
{
    check_fields(BYTES(""), "");
    /* C.2: each representation */
    check_fields(BYTES("\x40\x0a"
                       "custom-key\x0d"
                       "custom-header"),
                 "custom-key: custom-header\n");
    check_fields(BYTES("\x04\x0c/sample/path"), ":path: /sample/path\n");
    check_fields(BYTES("\x10\x08password\x06secret"), "password: secret\n");
    check_fields(BYTES("\x82"), ":method: GET\n");
    /* C.3.1 and C.4.1: the same request, its authority plain and Huffman-coded */
    check_fields(BYTES("\x82\x86\x84\x41\x0fwww.example.com"),
                 ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n");
    check_fields(BYTES("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
                 ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n");
    /* C.4.3: name and value */
    check_fields(BYTES("\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf"),
                 "custom-key: custom-value\n");
    /* C.6.1: a response */
    check_fields(BYTES("\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44"
                       "\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18"
                       "\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3"),
                 ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n"
                 "location: https://www.example.com\n");
}

static void test_table_size(void)
{
    check_fields(BYTES("\x20\x88"), ":status: 200\n");
    check_fields(BYTES("\x20\x20\x88"), ":status: 200\n");
    CHECK_EQUAL(decode(BYTES("\x21\x88")), -EPROTO);         /* to 1 byte: more than we allowed */
    CHECK_EQUAL(decode(BYTES("\x3f\xe1\x1f\x88")), -EPROTO); /* to 4,096 bytes */
    CHECK_EQUAL(decode(BYTES("\x88\x20")), -EPROTO);         /* not at the start */
}

static void test_malformed(void)
{
    CHECK_EQUAL(decode(BYTES("\x80")), -EPROTO); /* there is no entry 0 */
    check_fields(BYTES("\xbd"), "www-authenticate: \n");
    CHECK_EQUAL(decode(BYTES("\xbe")), -EPROTO);         /* the dynamic table's first entry */
    CHECK_EQUAL(decode(BYTES("\x7e\x01x")), -EPROTO);    /* a name from there */
    CHECK_EQUAL(decode(BYTES("\xff")), -EPROTO);         /* an integer without its end */
    CHECK_EQUAL(decode(BYTES("\xff\x80\x80")), -EPROTO); /* likewise */
    CHECK_EQUAL(decode(BYTES("\xff\xff\xff\xff\xff\x7f")), -EPROTO);
    CHECK_EQUAL(decode(BYTES("\xff\x80\x80\x80\x80\x80\x00")), -EPROTO);  /* padded with zeros */
    CHECK_EQUAL(decode(BYTES("\x00")), -EPROTO);                          /* no name */
    CHECK_EQUAL(decode(BYTES("\x00\x02x")), -EPROTO);                     /* a name cut short */
    CHECK_EQUAL(decode(BYTES("\x00\x01x")), -EPROTO);                     /* no value */
    CHECK_EQUAL(decode(BYTES("\x00\x01x\x03yz")), -EPROTO);               /* a value cut short */
    CHECK_EQUAL(decode(BYTES("\x00\x01x\x7f\xff\xff\xff\x7f")), -EPROTO); /* of 268 million bytes */
}

static void test_malformed_huffman(void)
{
    check_fields(BYTES("\x08\x82\x64\x02"), ":status: 302\n");
    check_fields(BYTES("\x08\x80"), ":status: \n");
    check_fields(BYTES("\x08\x81\x07"), ":status: 0\n");                 /* padded with three ones */
    CHECK_EQUAL(decode(BYTES("\x08\x81\x06")), -EPROTO);                 /* padded with 110 */
    CHECK_EQUAL(decode(BYTES("\x08\x81\xff")), -EPROTO);                 /* nothing but padding, of 8 bits */
    CHECK_EQUAL(decode(BYTES("\x08\x82\x07\xff")), -EPROTO);             /* padding of 11 bits */
    CHECK_EQUAL(decode(BYTES("\x08\x84\xff\xff\xff\xff")), -EPROTO);     /* EOS */
    CHECK_EQUAL(decode(BYTES("\x08\x85\x07\xff\xff\xff\xfc")), -EPROTO); /* EOS behind a character */
}

static int ignore(void *context, const struct hpack_field *field)
{
    (void)field;
    ++*(size_t *)context;
    return 0;
}

static void test_limits(void)
{
    static uint8_t block[32768];
    size_t used = 0;
    size_t fields = 0;
    char value[96];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    /* Each costs 1 + 95 + 32 bytes: 128 of them are just the limit of 16,384. */
    for (int i = 0; i < 128; i++)
        CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", value, false), 0);
    CHECK_EQUAL(hpack_decode(block, used, scratch, ignore, &fields), 0);
    CHECK_EQUAL(fields, 128);
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", value, false), 0);
    CHECK_EQUAL(hpack_decode(block, used, scratch, ignore, &fields), -EPROTO);

    /* A Huffman-coded value that is longer than the scratch memory: 11,000 bytes of zeros are "0" 17,600
     * times. */
    static uint8_t bomb[11004] = {0x08, 0xff, 11000 - 127 - ((11000 - 127) / 128) * 128 + 128,
                                  (11000 - 127) / 128};
    CHECK_EQUAL(hpack_decode(bomb, sizeof bomb, scratch, ignore, &fields), -EPROTO);

    /* What the callback returns ends it. */
    uint8_t many[30];
    memset(many, 0x88, sizeof many);
    CHECK_EQUAL(decode(many, sizeof many), -ECANCELED);
}

static void test_append(void)
{
    uint8_t block[600];
    size_t used = 0;
    char value[301];
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "te", "trailers", false), 0);
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "authorization", "x", true), 0);
    CHECK_EQUAL(used, 13 + 17);
    CHECK(memcmp(block,
                 "\x00\x02te\x08trailers\x10\x0d"
                 "authorization\x01x",
                 used) == 0);

    memset(value, 'v', 300);
    for (size_t size = 126; size <= 300; size += 1) {
        char line[320];
        value[size] = '\0';
        used = 0;
        CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", value, false), 0);
        snprintf(line, sizeof line, "n: %s\n", value);
        check_fields(block, used, line);
        /* One byte less than it needs is too little. */
        size_t again = 0;
        CHECK_EQUAL(hpack_append(block, used - 1, &again, "n", value, false), -EMSGSIZE);
        value[size] = 'v';
    }
    used = 0;
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", "a\nb", false), -EINVAL);
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", "\xc3\xa4", false), -EINVAL);
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", "\x7f", false), -EINVAL);
    used = sizeof block;
    CHECK_EQUAL(hpack_append(block, sizeof block, &used, "n", "v", false), -EMSGSIZE);
}

int main(void)
{
    test_examples();
    test_table_size();
    test_malformed();
    test_malformed_huffman();
    test_limits();
    test_append();
    return 0;
}
