/*
 * The ring: how a thread hands its records to the flusher.
 *
 *  - One a thread. Its words lie in a file in the session directory, so what is published there outlives
 *    the process; they are mapped twice in a row, so that a record may cross the end.
 *  - The thread's hooks reserve words, fill them and publish them. A signal handler may interrupt a hook
 *    anywhere and run hooks of its own on the same ring: its records come to lie behind the interrupted
 *    one, and are published with it. A handler that does not return (longjmp) leaves the interrupted hook's
 *    record unfilled for ever; the next hook sees that, and makes it void.
 *  - The thread's private half (struct producer) lies in memory that the kernel clears in a forked child,
 *    however it was forked: there `limit` is 0, and the first hook takes the slow path.
 *  - `limit` is never more than half a ring ahead: crossing it is the occasion to wake the flusher.
 */
#ifndef CALLTRACE_RECORD_RING_H
#define CALLTRACE_RECORD_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/layout.h"

#define RING_WORDS (1u << 17) /* 1 MiB */
/* Words that stay unused behind the limit, for the interrupted hooks of nested signal handlers, which
 * have checked the limit before the handler ran and write after it. */
#define RING_SLACK_WORDS 8192u

struct producer {
    uint64_t reserved;  /* position behind the last reserved record */
    uint64_t limit;     /* reserve up to here without asking */
    uint64_t published; /* what ring->head was last set to; less than `reserved` only inside a hook */
    uint64_t hook;      /* the stack pointer of the outermost hook that is running */
    uint64_t *words;
    struct ring_header *ring; /* NULL: this thread has no ring */
    uint64_t said_drops;      /* what ring->dropped was when a record last told of it */
    void *altstack;           /* for the thread, while it has none of its own; NULL: none */
    uint64_t nested;          /* position of the first record behind the outermost hook's; less than */
                              /* `published`: there is none */
    uint64_t stack_low;       /* the thread's own stack is known to be mapped from here */
    uint64_t stack_end;       /* to here; 0: not known yet */
    uint32_t stack_patience;  /* hooks until it is worth while to look how far it is mapped now */
};

/* This thread's producer; never NULL, but with limit 0 where there is no ring. */
extern _Thread_local struct producer *ring_producer __attribute__((visibility("hidden")));

/* The slow path of a hook: makes room for `words` more words in this thread's ring, starting the agent
 * and attaching the thread where that has not happened. `stack_pointer` is the hook's. Returns false when
 * this event is not to be recorded (the agent is off, or it was dropped and counted). */
bool ring_make_room(uint64_t words, uint64_t stack_pointer);

/* Gives this thread a ring, if it has none and is to have one. */
void ring_attach(uint64_t stack_pointer);

/* While the agent itself runs the program's code, which the program would not have run: nothing that this
 * thread does is recorded. Returns what ring_unmute() wants back. */
struct producer *ring_mute(void);
void ring_unmute(struct producer *producer);

/* Publishes what the thread has recorded behind a hook that was interrupted and will not go on, now that the
 * thread or the process ends. */
void ring_settle(struct producer *producer);

#endif
