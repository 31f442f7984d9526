/*
 * The roster: the rings of this process and the threads that have them.
 */
#ifndef CALLTRACE_SHIP_ROSTER_H
#define CALLTRACE_SHIP_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/ring.h"
#include "agent/ship/encode.h"

struct attach_request;

/* A ring's place; used again when its thread has ended and all is in the outbox. */
struct roster_place {
    struct ring_header *ring;
    struct producer *producer;
    struct encode_thread thread;
    bool taken;
    bool announced;      /* the collector has been told of the thread */
    uint64_t drained_ns; /* when its ring was last emptied */
    uint64_t last_head;  /* how far to drain it before the goodbye */
    uint64_t barrier;    /* how far to drain it before modules that have gone are forgotten */
};

struct roster {
    int directory; /* where the rings' files are made */
    struct roster_place *places;
    size_t count;
    size_t capacity;
    uint32_t next_thread;
};

int roster_open(struct roster *roster, int directory);

/* Gives a ring to a thread that asks; its `producer` stays NULL when there is no memory. */
void roster_attach(struct roster *roster, struct attach_request *request);

/* Takes back the ring of a thread that has ended. */
void roster_release(struct roster_place *place);

#endif
