/* Where a trace has gaps, until somebody takes note. */
#ifndef CALLTRACE_CORE_LOSSES_H
#define CALLTRACE_CORE_LOSSES_H

#include "calltrace_collector/core/core.h"

struct losses {
    struct ct_loss *items; /* [taken] ... [count - 1] are there */
    size_t capacity;
    uint32_t taken;
    uint32_t count;
};

void losses_free(struct losses *losses);

/* Makes room for `more`, as far as CT_LOSSES allows. */
int losses_reserve(struct losses *losses, uint32_t more);

/* Room has been reserved; beyond CT_LOSSES it is left out. */
void losses_add(struct losses *losses, const struct ct_loss *loss);

#endif
