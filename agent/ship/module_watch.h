/*
 * The module watch: which modules come and go while rings are drained.
 *
 * An address means what was mapped there when it was recorded. So when modules have gone, each ring gets a
 * barrier where it is now; what lies before it is encoded first, then the modules and their sites are
 * forgotten, and only then are others announced in their place.
 */
#ifndef CALLTRACE_SHIP_MODULE_WATCH_H
#define CALLTRACE_SHIP_MODULE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/life/modules.h"
#include "agent/ship/encode.h"
#include "agent/ship/outbox.h"
#include "agent/ship/roster.h"

struct module_watch {
    struct outbox *outbox;
    struct roster *roster;   /* whose rings get the barriers */
    struct encoder *encoder; /* whose sites are forgotten */
    struct modules modules;
    uint64_t next_scan_ns; /* when unknown addresses may cause a scan again */
    bool changing;   /* modules have gone: rings are drained up to their barriers, then these are forgotten */
    bool unsure;     /* what was recorded where they were may be another one's */
    bool distrusted; /* other code may have come, and no scan has followed yet */
};

/* Looks what is mapped, and announces it. Returns 0 or -errno. */
int module_watch_open(struct module_watch *watch, struct outbox *outbox, struct roster *roster,
                      struct encoder *encoder);

/* Announces the modules that are new or have gone. Returns false when the outbox has no room yet. */
bool module_watch_announce(struct module_watch *watch);

/* Looks for modules that came or went before this moment. Returns false when it has to wait until those that
 * went before are forgotten. */
bool module_watch_scan(struct module_watch *watch, uint64_t now_ticks);

/* Has hooks capture nothing but in the executable until the next scan, as a library may have been unloaded
 * that the last one saw. */
void module_watch_distrust(struct module_watch *watch);

/* Looks for the modules of the encoder's new sites, where none is known: one may have been loaded. If not,
 * code is being made in memory, and the next such address is not worth looking at once. */
void module_watch_look(struct module_watch *watch);

/* Forgets the modules that have gone, when what was recorded before has been encoded; not while a batch is in
 * the encoder. Returns whether it did. */
bool module_watch_forget(struct module_watch *watch);

#endif
