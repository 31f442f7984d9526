/*
 * Plans: what the collector says is to be captured, put where the hooks look it up; and until when threads
 * wait for that.
 *
 * A module is settled when all of its plan is there, or when nobody waits for the rest: a thread that finds
 * nothing about a call in a settled module does not ask. What comes later still counts.
 */
#ifndef CALLTRACE_SHIP_PLANS_H
#define CALLTRACE_SHIP_PLANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/life/modules.h"

struct plans {
    struct modules *modules;
    uint32_t text_limit;
    bool out_of_memory; /* that has been said */
    bool crowded;       /* so many modules are settled that no others can be */
};

/* Takes a CapturePlan. What is of a module that is complete, or gone, or of another place in memory than that
 * module's code, is passed over. Returns 0; -EBADMSG: it is none, -EPROTO: of a module that never was; then
 * nothing of it counts. */
int plans_take(struct plans *plans, const uint8_t *bytes, size_t size);

/* Whether a module is there that is not settled. */
bool plans_are_missing(const struct plans *plans);

/* Settles all modules that are there, and the page of an address that is in none. */
void plans_settle(struct plans *plans, uint64_t address);

#endif
