/*
 * Draining: from the rings into the outbox, in the order that the collector needs: modules, then the
 * thread, then its events.
 *
 * The outbox may be full at any step. Then the step stays pending, and the next call tries again.
 */
#ifndef CALLTRACE_SHIP_DRAIN_H
#define CALLTRACE_SHIP_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/ship/encode.h"
#include "agent/ship/module_watch.h"
#include "agent/ship/outbox.h"
#include "agent/ship/roster.h"

struct drain {
    struct outbox *outbox;
    struct roster *roster;
    struct encoder encoder;
    struct module_watch watch;
    const uint32_t *closing; /* not 0 while libraries are being unloaded: nothing is drained that can wait */
    bool looked;             /* for the modules that the batch's addresses are in */
    struct roster_place *batch; /* whose columns are in the encoder, not yet in the outbox */
};

int drain_open(struct drain *drain, struct outbox *outbox, struct roster *roster, uint32_t max_depth);

/* Drains rings that hold much, or have waited long; all of them with `everything`. Returns whether
 * anything moved. */
bool drain_rings(struct drain *drain, uint64_t now_ns, bool everything);

/* The process exits: what is in the rings now belongs before the goodbye. Other threads may go on. */
void drain_begin_end(struct drain *drain);

/* All that belongs before the goodbye is in the outbox. */
bool drain_is_complete(const struct drain *drain);

/* Tells of the events dropped that no record has told of, the last thing before the goodbye. Returns false
 * when there is no room yet. */
bool drain_put_drops(struct drain *drain);

/* When a ring that holds something is to be drained next, at the latest; UINT64_MAX: none holds any. */
uint64_t drain_due_ns(const struct drain *drain);

#endif
