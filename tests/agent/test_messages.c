/* The small messages: the envelope of what the agent sends, and what the collector says. */
#include "agent/ship/messages.h"

#include <errno.h>

#include "tests/agent/check.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static void expect(const uint8_t *bytes, size_t size, uint64_t welcome, uint64_t ack)
{
    struct collector_message message = {.welcome_next_sequence = 77, .ack_sequence = 77};
    CHECK_EQUAL(message_read(bytes, size, &message), 0);
    CHECK_EQUAL(message.welcome_next_sequence, welcome);
    CHECK_EQUAL(message.ack_sequence, ack);
    CHECK(message.capture_plan == NULL);
}

static void refuse(const uint8_t *bytes, size_t size)
{
    struct collector_message message;
    CHECK_EQUAL(message_read(bytes, size, &message), -EBADMSG);
}

static void test_collector_messages(void)
{
    expect(BYTES(""), 0, 0);
    expect(BYTES("\x0a\x02\x08\x01"), 1, 0);
    expect(BYTES("\x0a\x03\x08\xac\x02"), 300, 0);
    expect(BYTES("\x12\x02\x08\x05"), 0, 5);
    expect(BYTES("\x12\x00"), 0, 0);
    expect(BYTES("\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, UINT64_MAX);
    /* The last one counts, as protobuf has it. */
    expect(BYTES("\x12\x04\x08\x05\x08\x06"), 0, 6);
    expect(BYTES("\x12\x02\x08\x05\x12\x02\x08\x07"), 0, 7);
}

static void test_unknown_fields(void)
{
    /* Of each wire type, around the field and inside of it. */
    expect(BYTES("\x20\x2a\x12\x02\x08\x05"), 0, 5);                             /* varint */
    expect(BYTES("\x21\x01\x02\x03\x04\x05\x06\x07\x08\x12\x02\x08\x05"), 0, 5); /* 64 bits */
    expect(BYTES("\x22\x02\x08\x63\x12\x02\x08\x05"), 0, 5);                     /* bytes */
    expect(BYTES("\x25\x01\x02\x03\x04\x12\x02\x08\x05"), 0, 5);                 /* 32 bits */
    expect(BYTES("\x12\x04\x10\x63\x08\x05"), 0, 5);
    expect(BYTES("\x12\x06\x12\x02\x08\x63\x08\x05"), 0, 5);
    expect(BYTES("\xfa\xff\xff\xff\x0f\x01\x63\x12\x02\x08\x05"), 0, 5); /* the largest field number */
}

/* What a message has of a plan is not looked into here. */
static void test_plans(void)
{
    static const uint8_t bytes[] = "\x12\x02\x08\x05\x1a\x03\xff\xff\xff\x18\x07";
    struct collector_message message;
    CHECK_EQUAL(message_read(bytes, sizeof bytes - 1, &message), 0);
    CHECK_EQUAL(message.ack_sequence, 5);
    CHECK(message.capture_plan == bytes + 6);
    CHECK_EQUAL(message.capture_plan_bytes, 3);
    CHECK_EQUAL(message_read(bytes + 4, 2, &message), -EBADMSG);
    /* An empty one is one, too: of module 0, without hooks. */
    CHECK_EQUAL(message_read(BYTES("\x1a\x00"), &message), 0);
    CHECK(message.capture_plan != NULL);
    CHECK_EQUAL(message.capture_plan_bytes, 0);
}

static void test_malformed(void)
{
    refuse(BYTES("\x12\x03\x08\x05"));                                     /* longer than what is there */
    refuse(BYTES("\x12\x01\x08"));                                         /* a field cut off */
    refuse(BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x08\x05")); /* an absurd length */
    refuse(BYTES("\x12\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80")); /* a number without end */
    refuse(BYTES("\x19\x01\x02\x03\x04\x05\x06\x07"));
    refuse(BYTES("\x1d\x01\x02\x03"));
    refuse(BYTES("\x1b\x12\x02\x08\x05\x1c")); /* a group: nobody writes them any more */
    refuse(BYTES("\x80"));
}

/* A message cut anywhere is refused, or is one that ends there. */
static void test_cut(void)
{
    static const char message[] = "\x0a\x03\x08\xac\x02\x12\x03\x08\xac\x02\x1d\x01\x02\x03\x04";
    for (size_t size = 0; size < sizeof message - 1; size++) {
        struct collector_message got;
        int status = message_read((const uint8_t *)message, size, &got);
        CHECK_EQUAL(status, size == 0 || size == 5 || size == 10 ? 0 : -EBADMSG);
    }
}

static void test_envelope(void)
{
    uint8_t bytes[MESSAGE_ENVELOPE_BYTES];
    uint8_t *end = message_begin(bytes, 300, MESSAGE_BATCH, 150);
    CHECK_EQUAL(end - bytes, 6);
    CHECK(memcmp(bytes, "\x08\xac\x02\x2a\x96\x01", 6) == 0);
    end = message_begin(bytes, UINT64_MAX, MESSAGE_GOODBYE, (1u << 28) - 1);
    CHECK(end - bytes <= (long)sizeof bytes);
}

static void test_clock(void)
{
    uint8_t bytes[64];
    struct proto p = {.bytes = bytes, .size = sizeof bytes};
    const struct clock_reading reading = {1, 300, 0};
    message_put_clock(&p, MESSAGE_CLOCK, &reading);
    CHECK_EQUAL(p.length, 7);
    CHECK(memcmp(bytes, "\x32\x05\x08\x01\x10\xac\x02", 7) == 0);

    const struct clock_reading largest = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    p.length = 0;
    message_put_clock(&p, MESSAGE_CLOCK, &largest);
    CHECK(!p.full);
    CHECK_EQUAL(p.length, 2 + 3 * 11);
}

int main(void)
{
    test_collector_messages();
    test_unknown_fields();
    test_plans();
    test_malformed();
    test_cut();
    test_envelope();
    test_clock();
    return 0;
}
