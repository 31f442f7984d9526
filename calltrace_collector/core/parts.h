/* A batch, taken apart by the stacks that its events are on. Nearly always there is one part with one
 * segment.
 *
 * A segment is a run of events and marks on one stack; a part is all that a batch does to one stack. */
#ifndef CALLTRACE_CORE_PARTS_H
#define CALLTRACE_CORE_PARTS_H

#include "calltrace_collector/core/batch.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/forecast.h"
#include "calltrace_collector/core/thread.h"

struct segment {
    uint32_t part;
    uint32_t from, to;         /* events */
    uint32_t marks, marks_end; /* marks, without the SWITCHED that begins it */
};

struct part {
    struct thread *thread;
    struct level level; /* of its open calls, as far as the batch has been looked at */
    struct forecast forecast;
};

struct parts {
    struct segment *segments;
    struct part *parts;
    uint32_t segment_count;
    uint32_t part_count;
    size_t segment_capacity;
    size_t part_capacity;
};

/* The stacks that batches have brought and nobody has taken yet. */
struct stacks_seen {
    struct ct_stack *stacks;
    uint32_t count;
    size_t capacity;
};

void parts_free(struct parts *parts);

/* Takes the batch apart, and checks that its marks are in order. CT_ERANGE, CT_ENOMEM. */
int parts_split(struct ct_trace *trace, struct thread *owner);

/* Ends the work on the batch. */
void parts_end(struct parts *parts);

/* Declares the batch's new stacks. CT_ERANGE, CT_ELIMIT, CT_ENOMEM: then none of them is. */
int stacks_declare(struct ct_trace *trace, const struct thread *owner);

/* Takes back what stacks_declare() did. */
void stacks_undeclare(struct ct_trace *trace);

#endif
