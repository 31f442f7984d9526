/*
 * The session directory: where everything lies that must outlive the process (layout.h).
 *
 * /dev/shm/calltrace-UID/PID-ID/, with mode 0700. The agent makes it and fills it; the collector removes it
 * when all of it is committed.
 */
#ifndef CALLTRACE_LIFE_SESSION_H
#define CALLTRACE_LIFE_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "agent/record/clock.h"
#include "agent/record/layout.h"

#define SESSION_PATH_BYTES 600

struct session {
    int directory; /* descriptor, in the flusher's own table */
    int lock;      /* descriptor of the session file, with the lock */
    char path[SESSION_PATH_BYTES];
    struct session_header *header; /* mapped */
    struct crash_slot *crash;      /* mapped */
    const uint8_t *process;        /* the AgentMessage that describes this process */
    size_t process_bytes;
};

/* Makes the directory and the session file. Returns 0, or -errno with one line in agent.message. */
int session_open(struct session *session, const struct clock_reading *clock);

/* Removes the directory, which nobody has seen yet. */
void session_remove(struct session *session);

/* The process has called exit(). */
void session_exited(struct session_header *session, int exit_code, const struct clock_reading *clock);

#endif
