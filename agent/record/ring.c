/*
 * The slow path of the hooks.
 */
#include "agent/record/ring.h"

#include <signal.h>

#include "agent/life/agent.h"
#include "agent/life/complaint.h"
#include "agent/life/futex.h"
#include "agent/life/sys.h"
#include "agent/life/thread.h"
#include "agent/record/arch.h"
#include "agent/record/clock.h"
#include "agent/record/record.h"

#define SPINS_BEFORE_SLEEP 200
#define RECHECK_NS 100000000 /* should a wake-up ever get lost */

_Thread_local struct producer *ring_producer = &thread_unattached;

static struct producer muted;

struct producer *ring_mute(void)
{
    struct producer *producer = ring_producer;
    ring_producer = &muted;
    return producer;
}

void ring_unmute(struct producer *producer)
{
    ring_producer = producer;
}

/* Whether the hook that reserved a record and has not published it will never do so: its frame is gone, as
 * a handler that interrupted it did not return. */
static bool is_abandoned(const struct producer *p, uint64_t stack_pointer)
{
    uint64_t hook = p->hook;
    stack_t alternate = {.ss_flags = SS_DISABLE};
    sys_call3(SYS_sigaltstack, 0, (long)&alternate, 0);
    uint64_t low = (uint64_t)(uintptr_t)alternate.ss_sp;
    bool hook_is_there = (alternate.ss_flags & SS_DISABLE) == 0 && hook - low < alternate.ss_size;
    bool we_are_there = (alternate.ss_flags & SS_ONSTACK) != 0;
    /* On a handler's stack of its own, frames of the other stack are below us in time, not in address. */
    if (we_are_there != hook_is_there)
        return hook_is_there;
    return stack_pointer >= hook;
}

/* How many events have been dropped, which a record is going to tell. */
static uint64_t said_drops(struct producer *p)
{
    p->said_drops = p->ring->dropped;
    return p->said_drops;
}

static bool has_unsaid_drops(const struct producer *p)
{
    return p->said_drops != p->ring->dropped;
}

/* Makes the record that an abandoned hook has left unfilled void, and publishes what lies behind it. Nothing
 * is lost: a call left in its entry hook has not begun, one left in its exit hook has been abandoned. */
static void settle_abandoned(struct producer *p)
{
    uint64_t head = __atomic_load_n(&p->ring->head, __ATOMIC_RELAXED);
    if (head == p->published) {
        uint64_t *record = &p->words[head & (RING_WORDS - 1)];
        uint64_t end = p->nested > head ? p->nested : p->reserved;
        record[1] = record_void_word(said_drops(p), end - head);
    }
    record_publish_all(p);
}

/* Says in the ring how many events were dropped before the one that is about to be recorded. */
static void record_drops(struct producer *p)
{
    uint64_t position = arch_take(&p->reserved, RECORD_EXIT_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = clock_ticks();
    record[1] = record_void_word(said_drops(p), RECORD_EXIT_WORDS);
    record_publish(p, position, position + RECORD_EXIT_WORDS);
}

void ring_settle(struct producer *p)
{
    if (p->ring != NULL && p->reserved != p->published)
        settle_abandoned(p);
}

/* Moves the limit as far as the flusher's progress allows. `reserve` words must fit. */
static bool extend_limit(struct producer *p, uint64_t reserve)
{
    uint64_t tail = __atomic_load_n(&p->ring->tail, __ATOMIC_ACQUIRE);
    uint64_t end = tail + RING_WORDS - RING_SLACK_WORDS;
    if (p->reserved + reserve > end)
        return false;
    uint64_t soon = p->reserved + RING_WORDS / 2;
    p->limit = soon < end ? soon : end;
    return true;
}

static void sleep_until_drained(struct producer *p)
{
    struct ring_header *ring = p->ring;
    __atomic_store_n(&ring->waiting, 1, __ATOMIC_SEQ_CST);
    uint32_t seen = __atomic_load_n(&ring->wake, __ATOMIC_SEQ_CST);
    agent_wake_flusher();
    uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_SEQ_CST);
    if (p->reserved + RING_WORDS / 4 > tail + RING_WORDS)
        futex_wait(&ring->wake, seen, RECHECK_NS);
    __atomic_store_n(&ring->waiting, 0, __ATOMIC_RELAXED);
}

/* It may become so while a thread waits: when the collector has refused the stream. */
static bool threads_may_not_wait(void)
{
    return __atomic_load_n(&agent.config.drops, __ATOMIC_RELAXED);
}

static bool drop(struct producer *p)
{
    arch_take(&p->ring->dropped, 1);
    return false;
}

/* Returns false when there will be none. */
static bool wait_for_room(struct producer *p, uint64_t words)
{
    for (int i = 0; !extend_limit(p, words); i++) {
        /* Behind an interrupted hook nothing is published, so nothing drains what its handler records: when
         * all else is drained, this is all the room that there will be. */
        if (record_is_nested(p) && __atomic_load_n(&p->ring->tail, __ATOMIC_ACQUIRE) == p->published)
            return extend_limit(p, words) || drop(p);
        if (threads_may_not_wait())
            return drop(p);
        if (i < SPINS_BEFORE_SLEEP)
            arch_relax();
        else
            sleep_until_drained(p);
    }
    return true;
}

COLD void ring_attach(uint64_t stack_pointer)
{
    if (ring_producer != &muted)
        thread_attach(stack_pointer);
}

COLD bool ring_make_room(uint64_t words, uint64_t stack_pointer)
{
    if (ring_producer->ring == NULL)
        ring_attach(stack_pointer);
    struct producer *p = ring_producer;
    if (p->ring == NULL)
        return false;
    if (record_is_nested(p) && is_abandoned(p, stack_pointer))
        settle_abandoned(p);
    if (p->reserved + words <= p->limit && !has_unsaid_drops(p))
        return true;
    agent_wake_flusher();
    complaint_say();
    uint64_t needed = words + RECORD_EXIT_WORDS;
    if (!threads_may_not_wait()) {
        if (!wait_for_room(p, needed))
            return false;
    } else {
        /* Once dropping, go on until a good part of the ring is free, so that gaps are few and long. */
        if (!extend_limit(p, has_unsaid_drops(p) ? RING_WORDS / 4 : needed))
            return drop(p);
    }
    if (has_unsaid_drops(p) && !record_is_nested(p))
        record_drops(p);
    return true;
}
