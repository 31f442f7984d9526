/* Which open calls an event's stack pointer shows to be gone. */
#include "agent/ship/frames.h"

#include "tests/agent/check.h"

#define BASE 0x10000u

static void open_call(struct frames *frames, uint64_t function, uint64_t call_site, uint64_t stack_pointer)
{
    if (frames->depth + 1 >= frames->capacity)
        CHECK_EQUAL(frames_grow(frames), 0);
    frames->open[++frames->depth] = (struct frame){function, call_site, stack_pointer};
}

/* Three calls, 0x100 bytes apart, the innermost at BASE - 0x300. */
static struct frames three_calls(void)
{
    struct frames frames;
    CHECK_EQUAL(frames_open(&frames, BASE), 0);
    for (uint64_t i = 1; i <= 3; i++)
        open_call(&frames, i, 100 + i, BASE - i * 0x100);
    return frames;
}

static void at_an_entry(void)
{
    struct frames frames = three_calls();
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE - 0x400, 9), 0);   /* called by the innermost */
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE - 0x300, 103), 0); /* inlined in it */
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE - 0x300, 9), 1);   /* in its place */
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE - 0x280, 9), 1);   /* above it */
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE - 0x180, 9), 2);
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE, 9), 3);
    CHECK_EQUAL(frames_gone_at_entry(&frames, BASE + 0x10, 9), 0); /* on another stack */
    frames_close(&frames);
}

static void at_an_exit(void)
{
    struct frames frames = three_calls();
    CHECK_EQUAL(frames_inside_exit(&frames, 3, frames_sp_low(BASE - 0x300)), 0);
    CHECK_EQUAL(frames_inside_exit(&frames, 1, frames_sp_low(BASE - 0x100)), 2);
    CHECK_EQUAL(frames_inside_exit(&frames, 3, frames_sp_low(BASE - 0x380)), 0); /* its frame has grown */
    CHECK(frames_inside_exit(&frames, 4, frames_sp_low(BASE - 0x300)) == SIZE_MAX);
    frames_close(&frames);
}

static void recursion_is_told_apart_by_the_stack_pointer(void)
{
    struct frames frames;
    CHECK_EQUAL(frames_open(&frames, BASE), 0);
    for (uint64_t i = 1; i <= 5000; i++)
        open_call(&frames, 7, 100, (BASE << 12) - i * 16);
    CHECK_EQUAL(frames_inside_exit(&frames, 7, frames_sp_low((BASE << 12) - 5000 * 16)), 0);
    CHECK_EQUAL(frames_inside_exit(&frames, 7, frames_sp_low((BASE << 12) - 4000 * 16)), 1000);
    frames_close(&frames);
}

int main(void)
{
    at_an_entry();
    at_an_exit();
    recursion_is_told_apart_by_the_stack_pointer();
    return 0;
}
