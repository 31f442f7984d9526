/*
 * Announcements: the small messages into the outbox, about what events speak of: modules, threads, the clock,
 * and the end.
 *
 * Each returns false when the outbox has no room yet; then nothing of it is there.
 */
#ifndef CALLTRACE_SHIP_ANNOUNCE_H
#define CALLTRACE_SHIP_ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/clock.h"
#include "agent/record/layout.h"
#include "agent/ship/outbox.h"

/* A message whose body is made already; `field` is what it is in an AgentMessage (messages.h). */
bool announce(struct outbox *outbox, uint32_t field, const uint8_t *body, size_t size);

/* The thread that has the ring; `ended` says that nothing of the thread follows. */
bool announce_thread(struct outbox *outbox, const struct ring_header *ring, bool ended);

bool announce_clock(struct outbox *outbox, const struct clock_reading *reading);

/* The process has called exit(). */
bool announce_goodbye(struct outbox *outbox, int exit_code, const struct clock_reading *reading);

#endif
