/* CapturePlan messages: those that are some, and bytes that are none. */
#include "agent/ship/plan_message.h"

#include <errno.h>
#include <string.h>

#include "agent/record/capture_program.h"
#include "agent/ship/proto.h"
#include "tests/agent/check.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1
#define RETURN_OFFSET "\x09\x11\x22\x33\x44\x55\x66\x77\x08"
#define FUNCTION_OFFSET "\x11\x01\x00\x00\x00\x00\x00\x00\x80"
#define HOOK "\x1a\x17" RETURN_OFFSET FUNCTION_OFFSET "\x18\x05\x22\x01\x2a"

static void refuse(const uint8_t *bytes, size_t size)
{
    struct plan_message message;
    CHECK_EQUAL(plan_message_read(bytes, size, &message), -EBADMSG);
}

static struct plan_message read_well(const uint8_t *bytes, size_t size)
{
    struct plan_message message;
    memset(&message, 0x55, sizeof message);
    CHECK_EQUAL(plan_message_read(bytes, size, &message), 0);
    return message;
}

static void test_whole(void)
{
    struct plan_hook hook;
    struct plan_message message = read_well(BYTES("\x08\x07\x10\x01" HOOK HOOK));
    CHECK_EQUAL(message.module, 7);
    CHECK(message.complete);
    const uint8_t *at = NULL;
    for (int i = 0; i < 2; i++) {
        memset(&hook, 0x55, sizeof hook);
        at = plan_message_hook(&message, at, &hook);
        CHECK(at != NULL);
        CHECK(hook.return_offset == 0x0877665544332211);
        CHECK(hook.function_offset == 0x8000000000000001);
        CHECK_EQUAL(hook.layout, 5);
        CHECK_EQUAL(hook.program_bytes, 1);
        CHECK_EQUAL(hook.program[0], 0x2a);
    }
    CHECK(plan_message_hook(&message, at, &hook) == NULL);

    message = read_well(BYTES(""));
    CHECK_EQUAL(message.module, 0);
    CHECK(!message.complete);
    CHECK(plan_message_hook(&message, NULL, &hook) == NULL);
    /* What a later collector may add is passed over, at both depths. */
    message = read_well(BYTES("\x22\x03xyz" HOOK "\x2d"
                              "1234"));
    CHECK(plan_message_hook(&message, NULL, &hook) != NULL);
    message = read_well(BYTES("\x1a\x1b" RETURN_OFFSET FUNCTION_OFFSET "\x18\x05\x22\x01\x2a\x2a\x02ok"));
    CHECK(plan_message_hook(&message, NULL, &hook) != NULL);
}

static void test_refused(void)
{
    refuse(BYTES("\x08\x80\x80\x80\x80\x10"));                /* a module's number of 33 bits */
    refuse(BYTES("\x1a\x0b" RETURN_OFFSET "\x22\x00"));       /* no function */
    refuse(BYTES("\x1a\x0c" FUNCTION_OFFSET "\x22\x01\x2a")); /* no return address */
    refuse(BYTES("\x1a\x1b" RETURN_OFFSET FUNCTION_OFFSET "\x18\x80\x80\x80\x80\x10\x22\x01\x2a"));
    refuse(BYTES("\x1a\x00"));
    refuse(BYTES("\x1a\x03\x09\x01\x02"));
    refuse(BYTES(HOOK "\x1a\x18"));
    /* Numbers of other wire types are no numbers. */
    refuse(BYTES("\x1a\x10\x08\x01" FUNCTION_OFFSET "\x18\x05\x22\x01\x2a"));
}

/* Where nothing can be captured, there is a layout, which says why, and no program. */
static void test_no_program(void)
{
    static const char *const messages[] = {
        "\x1a\x14" RETURN_OFFSET FUNCTION_OFFSET "\x18\x05",
        "\x1a\x16" RETURN_OFFSET FUNCTION_OFFSET "\x18\x05\x22\x00",
    };
    static const size_t sizes[] = {22, 24};
    for (int i = 0; i < 2; i++) {
        struct plan_message message;
        struct plan_hook hook;
        CHECK_EQUAL(plan_message_read((const uint8_t *)messages[i], sizes[i], &message), 0);
        CHECK(plan_message_hook(&message, NULL, &hook) != NULL);
        CHECK_EQUAL(hook.layout, 5);
        CHECK_EQUAL(hook.program_bytes, 0);
        CHECK(hook.program != NULL);
    }
}

/* A program of the largest size is taken, one that is larger by a byte is not. */
static void test_largest_program(void)
{
    static uint8_t bytes[CAPTURE_PROGRAM_BYTES + 64], body[CAPTURE_PROGRAM_BYTES + 32];
    static const uint8_t program[CAPTURE_PROGRAM_BYTES + 1];
    for (size_t size = CAPTURE_PROGRAM_BYTES; size <= CAPTURE_PROGRAM_BYTES + 1; size++) {
        struct proto hook = {.bytes = body, .size = sizeof body};
        struct proto message = {.bytes = bytes, .size = sizeof bytes};
        struct plan_message got;
        proto_fixed64(&hook, 1, 16);
        proto_fixed64(&hook, 2, 8);
        proto_bytes(&hook, 4, program, size);
        proto_bytes(&message, 3, body, hook.length);
        CHECK_EQUAL(plan_message_read(bytes, message.length, &got),
                    size <= CAPTURE_PROGRAM_BYTES ? 0 : -EBADMSG);
    }
}

/* Cut anywhere, a message is refused, or is one that ends there. */
static void test_cut(void)
{
    static const char message[] = "\x08\x07\x10\x01" HOOK HOOK;
    const size_t hook_bytes = sizeof HOOK - 1;
    for (size_t size = 0; size < sizeof message - 1; size++) {
        struct plan_message got;
        bool is_whole = size == 0 || size == 2 || size == 4 || size == 4 + hook_bytes;
        /* In memory of its own, so that a sanitizer sees who reads on. */
        uint8_t *bytes = malloc(size + 1);
        CHECK(bytes != NULL);
        memcpy(bytes, message, size);
        CHECK_EQUAL(plan_message_read(bytes, size, &got), is_whole ? 0 : -EBADMSG);
        free(bytes);
    }
}

int main(void)
{
    test_whole();
    test_refused();
    test_no_program();
    test_largest_program();
    test_cut();
    return 0;
}
