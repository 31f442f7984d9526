/*
 * The slow path of the hooks.
 */
#include "agent/record/ring.h"

#include "agent/life/agent.h"
#include "agent/life/futex.h"
#include "agent/life/thread.h"
#include "agent/record/arch.h"
#include "agent/record/clock.h"
#include "agent/record/record.h"

#define SPINS_BEFORE_SLEEP 200
#define RECHECK_NS 100000000 /* should a wake-up ever get lost */

_Thread_local struct producer *ring_producer = &thread_unattached;

COLD void record_publish_nested(struct producer *p, uint64_t position, uint64_t next)
{
    if (p->reserved != next) {
        /* The handler may have run before this hook read the clock. Then the record behind is the older
         * one, but an event cannot be later than what happened inside of it. */
        uint64_t *ticks = &p->words[position & (RING_WORDS - 1)];
        uint64_t behind = p->words[next & (RING_WORDS - 1)];
        if ((int64_t)(behind - *ticks) < 0)
            *ticks = behind;
    }
    /* An interrupted hook further out has yet to fill its record; it publishes this one too. */
    if (p->published != position)
        return;
    record_publish_all(p);
}

/* Says in the ring how many events were dropped before the one that is about to be recorded. */
static void record_drops(struct producer *p)
{
    uint64_t position = arch_take(&p->reserved, RECORD_EXIT_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = clock_ticks();
    record[1] = (p->unsaid_drops & RECORD_ADDRESS_MASK) | (uint64_t)RECORD_DROPPED << RECORD_KIND_SHIFT;
    p->unsaid_drops = 0;
    record_publish(p, position, position + RECORD_EXIT_WORDS);
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

static void wait_for_room(struct producer *p, uint64_t words)
{
    for (int i = 0; !extend_limit(p, words); i++) {
        if (i < SPINS_BEFORE_SLEEP)
            arch_relax();
        else
            sleep_until_drained(p);
    }
}

static bool drop(struct producer *p)
{
    arch_take(&p->unsaid_drops, 1);
    arch_take(&p->ring->dropped, 1);
    return false;
}

COLD bool ring_make_room(uint64_t words, uint64_t stack_pointer)
{
    struct producer *p = ring_producer;
    if (p->ring == NULL) {
        if (!thread_attach(stack_pointer))
            return false;
        p = ring_producer;
    }
    if (p->reserved + words <= p->limit)
        return true;
    if (!agent.config.drops) {
        agent_wake_flusher();
        wait_for_room(p, words);
        return true;
    }
    /* Once dropping, go on until a good part of the ring is free, so that gaps are few and long. */
    uint64_t needed = p->unsaid_drops ? RING_WORDS / 4 : words + RECORD_EXIT_WORDS;
    agent_wake_flusher();
    if (!extend_limit(p, needed))
        return drop(p);
    if (p->unsaid_drops)
        record_drops(p);
    return true;
}
