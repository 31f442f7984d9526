#include "tests/agent/capture_trial.h"

#include <string.h>
#include <sys/mman.h>

#include "tests/agent/check.h"

struct capture_registers trial_registers;

static uint64_t state = 88172645463325252ull;

uint64_t trial_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

struct trial trial_run(const struct words *program, uint64_t stack_end)
{
    struct trial result;
    struct capture_hook hook = {.program = program->bytes,
                                .size = (uint32_t)program->size,
                                .layout = TRIAL_LAYOUT,
                                .load_bias = TRIAL_BIAS};
    struct capture_context context = {&trial_registers, stack_end, TRIAL_LIMIT};
    uint32_t layout;
    CHECK_EQUAL(capture_check(&hook, TRIAL_LIMIT), 0);
    CHECK(hook.room <= sizeof result.bytes);
    memset(result.bytes, 0xa5, sizeof result.bytes);
    result.size = capture_run(&hook, &context, result.bytes, &result.frame);
    CHECK(result.size <= CAPTURE_BYTES && result.size <= hook.room);
    for (size_t i = hook.room; i < sizeof result.bytes; i++)
        CHECK_EQUAL(result.bytes[i], 0xa5);
    memcpy(&layout, result.bytes, sizeof layout);
    CHECK_EQUAL(layout, TRIAL_LAYOUT);
    return result;
}

uint8_t *trial_pages(void)
{
    uint8_t *pages = mmap(NULL, 2 * TRIAL_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    memset(pages, 'x', TRIAL_PAGE);
    CHECK_EQUAL(mprotect(pages + TRIAL_PAGE, TRIAL_PAGE, PROT_NONE), 0);
    return pages;
}
