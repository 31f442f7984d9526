/*
 * What a collector may say, as the agent reads it: whatever the bytes are, reading ends and stays within
 * them, and what it takes for hooks keeps to their limits.
 *
 * Input: a CollectorMessage.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/record/capture_run.h"
#include "agent/ship/messages.h"
#include "agent/ship/plan_message.h"

static void require(int condition)
{
    if (!condition)
        abort();
}

/* The limits of what a thread runs: its program leaves no more than there is room for. */
static void check_hook(const struct plan_hook *planned, const struct plan_message *plan)
{
    struct capture_hook hook = {.program = planned->program, .size = planned->program_bytes};
    require(planned->return_offset != 0 && planned->function_offset != 0);
    require(planned->program_bytes <= CAPTURE_PROGRAM_BYTES);
    if (planned->program_bytes != 0)
        require(planned->program >= plan->bytes &&
                planned->program + planned->program_bytes <= plan->bytes + plan->size);
    if (capture_check(&hook, CAPTURE_TEXT_BYTES) == 0)
        require(hook.items <= CAPTURE_MOST_ITEMS && hook.room <= CAPTURE_BYTES + 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct collector_message message;
    struct plan_message plan;
    struct plan_hook hook;
    if (message_read(data, size, &message) < 0 || message.capture_plan == NULL)
        return 0;
    require(message.capture_plan >= data && message.capture_plan + message.capture_plan_bytes <= data + size);
    if (plan_message_read(message.capture_plan, message.capture_plan_bytes, &plan) < 0)
        return 0;
    const uint8_t *at = NULL, *next;
    while ((next = plan_message_hook(&plan, at, &hook)) != NULL) {
        require(next > (at != NULL ? at : plan.bytes - 1) && next <= plan.bytes + plan.size);
        check_hook(&hook, &plan);
        at = next;
    }
    return 0;
}
