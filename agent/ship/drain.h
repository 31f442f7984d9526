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

#include "agent/life/modules.h"
#include "agent/record/clock.h"
#include "agent/ship/encode.h"
#include "agent/ship/outbox.h"
#include "agent/ship/roster.h"

struct drain {
    struct outbox *outbox;
    struct roster *roster;
    struct encoder encoder;
    struct modules modules;
    uint64_t next_scan_ns;   /* when unknown addresses may cause a scan again */
    const uint32_t *closing; /* not 0 while libraries are being unloaded: nothing is drained that can wait */
    bool changing; /* modules have gone: rings are drained up to their barriers, then these are forgotten */
    bool unsure;   /* what was recorded where they were may be another one's */
    bool looked;   /* for the modules that the batch's addresses are in */
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

/* Looks for modules that came or went before this moment. Returns false when it has to wait until those that
 * went before are forgotten. */
bool drain_scan_modules(struct drain *drain, uint64_t now_ticks);

/* Appends a clock reading, or the goodbye. Returns false when there is no room yet. */
bool drain_put_clock(struct drain *drain, const struct clock_reading *reading);
bool drain_put_goodbye(struct drain *drain, int exit_code, const struct clock_reading *reading);

#endif
