/*
 * The crash report: what the flusher adds to the crash slot, written to the session directory's file `crash`
 * (layout.h, proto/calltrace/v1/crash.proto).
 *
 * The crashed process is read through /proc/self/mem, so that nothing that is broken in it can hurt.
 */
#ifndef CALLTRACE_SHIP_CRASH_REPORT_H
#define CALLTRACE_SHIP_CRASH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/life/modules.h"
#include "agent/life/session.h"
#include "agent/ship/crash_memory.h"
#include "agent/ship/roster.h"

struct crash_report {
    struct crash_slot *slot;
    const struct roster *roster;
    int directory;
    int file; /* negative: it is made when it is needed */
    struct crash_memory memory;
    uint8_t *message; /* the file: its header and the message */
};

/* Returns 0 or -errno. */
int crash_report_open(struct crash_report *report, const struct session *session, const struct roster *roster,
                      const struct modules *modules);

/* Makes the file already, while that is allowed: the process may be about to give up the right to. */
void crash_report_hold(struct crash_report *report);

/* Whether a thread waits for one. */
bool crash_report_is_due(const struct crash_report *report);

/* Writes it, and lets the thread go on. Nothing can be done where that fails: the slot is there. */
void crash_report_write(struct crash_report *report);
void crash_report_done(struct crash_report *report);

#endif
