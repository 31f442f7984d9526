/* Where a trace has gaps, until somebody takes note. */
#include "calltrace_collector/core/losses.h"

#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/trace.h"

void losses_free(struct losses *losses)
{
    free(losses->items);
}

int losses_reserve(struct losses *losses, uint32_t more)
{
    if (losses->taken) {
        losses->count -= losses->taken;
        memmove(losses->items, losses->items + losses->taken, losses->count * sizeof(*losses->items));
        losses->taken = 0;
    }
    uint64_t needed = (uint64_t)losses->count + more;
    return array_reserve(&losses->items, &losses->capacity, needed < CT_LOSSES ? needed : CT_LOSSES,
                         sizeof(*losses->items));
}

void losses_add(struct losses *losses, const struct ct_loss *loss)
{
    if (losses->count < CT_LOSSES)
        losses->items[losses->count++] = *loss;
}

uint32_t ct_trace_loss_count(const struct ct_trace *trace)
{
    return trace->losses.count - trace->losses.taken;
}

uint32_t ct_trace_take_losses(struct ct_trace *trace, uint32_t count, struct ct_loss *out)
{
    struct losses *losses = &trace->losses;
    uint32_t left = ct_trace_loss_count(trace);
    if (count > left)
        count = left;
    if (count)
        memcpy(out, losses->items + losses->taken, count * sizeof(*out));
    losses->taken += count;
    return count;
}
