/*
 * What the parts of the flusher share: its state, and what its loop calls.
 *
 *  - flusher.c: the loop.
 *  - flusher_opening.c: what happens before it.
 *  - flusher_requests.c: what threads ask.
 *  - flusher_farewell.c: what happens when the process exits.
 */
#ifndef CALLTRACE_SHIP_FLUSHER_STATE_H
#define CALLTRACE_SHIP_FLUSHER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/life/credentials.h"
#include "agent/life/session.h"
#include "agent/ship/crash_report.h"
#include "agent/ship/drain.h"
#include "agent/ship/outbox.h"
#include "agent/ship/plans.h"
#include "agent/ship/roster.h"
#include "agent/ship/uplink.h"

struct flusher {
    struct session session;
    struct outbox outbox;
    struct roster roster;
    struct drain drain;
    struct uplink uplink;
    struct crash_report crash_report;
    struct credentials credentials;
    uint64_t clock_at_ns;    /* when to send the next reading */
    uint64_t clock_after_ns; /* and how long after that the one after */
    uint64_t modules_at_ns;
    uint64_t credentials_at_ns;
    struct plans plans;
    struct attach_request *late; /* cannot be answered yet */
    bool awaited;                /* a thread waits for plans */
    bool active;                 /* something was drained since the last reading */
    bool ending;                 /* the process is in exit() */
    bool said_goodbye;
    uint64_t goodbye_sequence;
};

/* Makes the session and connects. Returns 0, or -errno with one line in agent.message: this process is not
 * traced, and nothing is left of it. */
int flusher_open(struct flusher *flusher);

/* Says in agent.message where events go; the thread that started the agent prints it, for CALLTRACE_DEBUG. */
void flusher_say_started(const struct flusher *flusher);

/* Takes the rights that the program has now, if it has other ones than before. */
void flusher_follow(struct flusher *flusher);

/* Answers the threads that ask, those that can be answered now. Returns whether any has got an answer. */
bool flusher_answer(struct flusher *flusher);

/* The process is in exit(): everything is sent and acknowledged, then it may end. Without a collector that
 * answers it may end at once: what is left lies in the session directory for the next one. Called again and
 * again until then. */
void flusher_finish(struct flusher *flusher, uint64_t now_ns);

#endif
