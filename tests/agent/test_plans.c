/* Plans: what of them comes to the hooks, and how long threads wait for them. */
#include "agent/ship/plans.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/sys.h"
#include "agent/life/thread.h"
#include "agent/record/capture_program.h"
#include "agent/record/capture_table.h"
#include "agent/record/clock.h"
#include "agent/record/layout.h"
#include "agent/ship/flusher_state.h"
#include "agent/ship/proto.h"
#include "tests/agent/check.h"
#include "tests/agent/faults.h"

#define BIAS 0x7f0000000000ull
#define CODE 0x1000ull
#define CODE_BYTES 0x2000ull
#define SECOND_NS 1000000000ull

static const uint8_t program[] = {ITEM_VALUE, 8, OP_CONST8, 1, OP_END};

struct offsets {
    uint64_t ret, function;
};

/* A CapturePlan with hooks whose layouts count from 100. */
static size_t make_plan(uint8_t *bytes, size_t room, uint32_t module, bool complete, size_t count,
                        const struct offsets *offsets)
{
    struct proto message = {.bytes = bytes, .size = room};
    proto_uint(&message, 1, module);
    proto_uint(&message, 2, complete);
    for (size_t i = 0; i < count; i++) {
        uint8_t body[64];
        struct proto hook = {.bytes = body, .size = sizeof body};
        proto_fixed64(&hook, 1, offsets[i].ret);
        proto_fixed64(&hook, 2, offsets[i].function);
        proto_uint(&hook, 3, 100 + i);
        proto_bytes(&hook, 4, program, sizeof program);
        proto_bytes(&message, 3, body, hook.length);
    }
    CHECK(!message.full);
    return message.length;
}

static int take(struct plans *plans, uint32_t module, bool complete, size_t count,
                const struct offsets *offsets)
{
    uint8_t bytes[1024];
    return plans_take(plans, bytes, make_plan(bytes, sizeof bytes, module, complete, count, offsets));
}

/* Some modules, one behind the other, with code in the middle. */
static struct modules make_modules(struct module *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bias = BIAS + i * 0x10000;
        list[i] = (struct module){
            .number = (uint32_t)i,
            .start = bias,
            .end = bias + 0x4000,
            .load_bias = bias,
            .segments = 3,
            .segment = {{0, CODE, 0, PF_R},
                        {CODE, CODE_BYTES, CODE, PF_R | PF_X},
                        {CODE + CODE_BYTES, 0x1000, CODE + CODE_BYTES, PF_R | PF_W}},
            .path = "/lib/some.so",
        };
    }
    return (struct modules){.list = list, .count = count, .next_number = (uint32_t)count};
}

static void test_installing(void)
{
    struct module list[2];
    struct modules modules = make_modules(list, 2);
    struct plans plans = {.modules = &modules, .text_limit = 64};
    const struct offsets offsets[] = {{CODE + 0x20, CODE + 0x10}, {CODE + CODE_BYTES, CODE}};
    CHECK(plans_are_missing(&plans));
    CHECK_EQUAL(take(&plans, 1, false, 2, offsets), 0);
    CHECK(!capture_table_is_settled(list[1].start + 0x10));
    for (size_t i = 0; i < 2; i++) {
        const struct capture_hook *hook = capture_table_find(list[1].load_bias + offsets[i].ret);
        CHECK(hook != NULL);
        CHECK(hook->function == list[1].load_bias + offsets[i].function);
        CHECK(hook->load_bias == list[1].load_bias);
        CHECK_EQUAL(hook->layout, 100 + i);
        CHECK_EQUAL(hook->size, sizeof program);
        CHECK(memcmp(hook->program, program, sizeof program) == 0);
        CHECK(capture_table_find(list[0].load_bias + offsets[i].ret) == NULL);
    }
    /* Again, with other layouts: what may be in use stays. */
    const struct capture_hook before = *capture_table_find(list[1].load_bias + offsets[1].ret);
    CHECK_EQUAL(take(&plans, 1, true, 1, offsets + 1), 0);
    CHECK(memcmp(&before, capture_table_find(before.return_address), sizeof before) == 0);
    CHECK(capture_table_is_settled(list[1].start) && capture_table_is_settled(list[1].end - 1));
    CHECK(!capture_table_is_settled(list[1].end) && !capture_table_is_settled(list[0].start));
    CHECK(plans_are_missing(&plans));
    CHECK_EQUAL(take(&plans, 0, true, 0, NULL), 0);
    CHECK(!plans_are_missing(&plans));
    capture_table_forget();
}

static void test_passed_over(void)
{
    struct module list[3];
    struct modules modules = make_modules(list, 3);
    struct plans plans = {.modules = &modules, .text_limit = 64};
    const struct offsets inside = {CODE + 0x20, CODE + 0x10};
    const struct offsets outside[] = {
        {CODE + CODE_BYTES + 1, CODE},
        {CODE - 1, CODE},
        {CODE + 1, CODE - 1},
        {CODE + 1, CODE + CODE_BYTES},
        {~0ull, CODE},
        {CODE + 1, ~0ull},
        {0x10, 0x8},
        {CODE + 1, 1ull << 63},
    };
    const size_t count = sizeof outside / sizeof *outside;
    CHECK_EQUAL(take(&plans, 0, false, count, outside), 0);
    for (size_t i = 0; i < count; i++)
        CHECK(capture_table_find(list[0].load_bias + outside[i].ret) == NULL);

    /* Complete, so more is not wanted. */
    CHECK_EQUAL(take(&plans, 0, true, 0, NULL), 0);
    CHECK_EQUAL(take(&plans, 0, false, 1, &inside), 0);
    CHECK(capture_table_find(list[0].load_bias + inside.ret) == NULL);
    /* Gone; and gone and announced, so that its place is free. */
    list[1].unloaded_ticks = 5;
    list[2].path[0] = '\0';
    CHECK_EQUAL(take(&plans, 1, true, 1, &inside), 0);
    CHECK_EQUAL(take(&plans, 2, true, 1, &inside), 0);
    CHECK(capture_table_find(list[1].load_bias + inside.ret) == NULL);
    CHECK(!capture_table_is_settled(list[1].start) && !capture_table_is_settled(list[2].start));
    CHECK(!plans_are_missing(&plans));
    /* Never was. */
    CHECK_EQUAL(take(&plans, 3, true, 1, &inside), -EPROTO);
    CHECK_EQUAL(take(&plans, UINT32_MAX, true, 0, NULL), -EPROTO);
    capture_table_forget();
}

/* Of a message that is none, nothing counts. */
static void test_damaged(void)
{
    struct module list[1];
    struct modules modules = make_modules(list, 1);
    struct plans plans = {.modules = &modules, .text_limit = 64};
    const struct offsets offsets[] = {{CODE + 0x20, CODE}, {CODE + 0x30, 0}};
    CHECK_EQUAL(take(&plans, 0, true, 2, offsets), -EBADMSG);
    CHECK(capture_table_find(BIAS + offsets[0].ret) == NULL);
    CHECK(!list[0].planned && !list[0].settled);
    capture_table_forget();
}

/* Then some hooks capture nothing, and no thread waits for them. */
static void test_no_memory(void)
{
    struct module list[2];
    struct modules modules = make_modules(list, 2);
    struct plans plans = {.modules = &modules, .text_limit = 64};
    const struct offsets inside = {CODE + 0x20, CODE + 0x10};
    faults_set(SYS_mmap, 0, -ENOMEM, true);
    CHECK_EQUAL(take(&plans, 0, true, 1, &inside), 0);
    CHECK(faults_clear());
    CHECK(plans.out_of_memory);
    CHECK(capture_table_find(list[0].load_bias + inside.ret) == NULL);
    CHECK(capture_table_is_settled(list[0].start));
    CHECK_EQUAL(take(&plans, 1, true, 1, &inside), 0);
    CHECK(capture_table_find(list[1].load_bias + inside.ret) != NULL);
    capture_table_forget();
}

/* Nobody waits any more: what comes late counts all the same. */
static void test_settled_without(void)
{
    struct module list[2];
    struct modules modules = make_modules(list, 2);
    struct plans plans = {.modules = &modules, .text_limit = 64};
    const struct offsets inside = {CODE + 0x20, CODE + 0x10};
    const uint64_t elsewhere = 0x123456789;
    plans_settle(&plans, elsewhere);
    CHECK(!plans_are_missing(&plans));
    CHECK(capture_table_is_settled(list[0].start) && capture_table_is_settled(list[1].start));
    CHECK(capture_table_is_settled(elsewhere & ~0xfffull) && capture_table_is_settled(elsewhere | 0xfff));
    CHECK(!capture_table_is_settled(elsewhere + CALLTRACE_PAGE));
    CHECK_EQUAL(take(&plans, 1, true, 1, &inside), 0);
    CHECK(capture_table_find(list[1].load_bias + inside.ret) != NULL);
    /* So many pages that are in no module: at last no more can be noted. */
    for (uint64_t page = 0; !plans.crowded; page++) {
        CHECK(page < 1u << 16);
        plans_settle(&plans, page << 12);
    }
    CHECK(capture_table_is_settled(list[0].start));
    capture_table_forget();
}

/* ---- waiting ---- */

static struct flusher flusher;
static struct attach_request request;

static void begin_waiting(struct module *list, size_t count)
{
    memset(&flusher, 0, sizeof flusher);
    agent.config.capture_wait_ns = 3600 * SECOND_NS;
    flusher.uplink.fd = -1;
    flusher.drain.watch.modules = make_modules(list, count);
    flusher.plans = (struct plans){.modules = &flusher.drain.watch.modules, .text_limit = 64};
    request = (struct attach_request){
        .kind = REQUEST_PLANS,
        .address = list[0].start + CODE,
        .begun_ns = clock_monotonic_ns(),
        .asked_ns = clock_monotonic_ns() + 3600 * SECOND_NS, /* never yet long ago */
    };
    agent.requests = &request;
}

static void expect(bool done, bool again)
{
    flusher_answer(&flusher);
    CHECK_EQUAL(request.done, done);
    CHECK_EQUAL(request.again, again);
    CHECK_EQUAL(flusher.awaited, !done || again);
}

static void test_waiting(void)
{
    struct module list[2];
    begin_waiting(list, 2);
    expect(false, false);
    CHECK_EQUAL(take(&flusher.plans, 0, true, 0, NULL), 0);
    expect(false, false); /* the thread's next call may be into the other one */
    CHECK_EQUAL(take(&flusher.plans, 1, true, 0, NULL), 0);
    expect(true, false);
    capture_table_forget();

    /* From time to time a thread lets its signals in, and asks again. */
    begin_waiting(list, 1);
    request.asked_ns = request.begun_ns - SECOND_NS;
    expect(true, true);
    CHECK(!capture_table_is_settled(list[0].start));
    capture_table_forget();
}

static void stop_waiting(void)
{
    expect(true, false);
    CHECK(capture_table_is_settled(request.address));
    capture_table_forget();
}

static void test_waiting_ends(void)
{
    struct module list[1];
    begin_waiting(list, 1);
    request.begun_ns -= 3601 * SECOND_NS;
    stop_waiting();
    begin_waiting(list, 1);
    agent.config.capture_wait_ns = 0;
    stop_waiting();
    begin_waiting(list, 1);
    flusher.uplink.refused = true;
    stop_waiting();
    begin_waiting(list, 1);
    flusher.uplink.lost = true;
    stop_waiting();
    begin_waiting(list, 1);
    agent.finish = 1;
    stop_waiting();
    agent.finish = 0;
}

int main(void)
{
    test_installing();
    test_passed_over();
    test_damaged();
    test_no_memory();
    test_settled_without();
    test_waiting();
    test_waiting_ends();
    return 0;
}
