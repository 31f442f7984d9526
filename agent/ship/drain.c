#include "agent/ship/drain.h"

#include "agent/life/futex.h"
#include "agent/ship/announce.h"
#include "agent/ship/messages.h"

/* A ring is drained when it holds this much, or has waited this long. */
#define MUCH_WORDS (RING_WORDS / 8)
#define LONG_NS 50000000ull

int drain_open(struct drain *d, struct outbox *outbox, struct roster *roster, uint32_t max_depth)
{
    *d = (struct drain){.outbox = outbox, .roster = roster};
    int status = module_watch_open(&d->watch, outbox, roster, &d->encoder);
    if (status < 0)
        return status;
    return encoder_open(&d->encoder, 0, max_depth, &roster->next_thread);
}

/* A thread that has ended has set the rest of the header before. */
static enum ring_state ring_state(const struct ring_header *ring)
{
    return (enum ring_state)__atomic_load_n(&ring->state, __ATOMIC_ACQUIRE);
}

static void give_room(struct roster_place *place)
{
    struct ring_header *ring = place->ring;
    __atomic_store_n(&ring->tail, place->thread.position, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&ring->waiting, __ATOMIC_SEQ_CST))
        return;
    __atomic_fetch_add(&ring->wake, 1, __ATOMIC_SEQ_CST);
    futex_wake_all(&ring->wake);
}

/* Puts what is pending into the outbox. Returns false when there is no room. */
static bool put_pending(struct drain *d)
{
    struct roster_place *place = d->batch;
    if (!module_watch_announce(&d->watch))
        return false;
    if (place == NULL)
        return true;
    if (!d->looked)
        module_watch_look(&d->watch);
    d->looked = true;
    if (!module_watch_announce(&d->watch))
        return false;
    if (!place->announced && !announce_thread(d->outbox, place->ring, false))
        return false;
    place->announced = true;

    size_t size = encode_batch_size(&d->encoder, &place->thread);
    uint8_t *at = outbox_reserve(d->outbox, size + MESSAGE_ENVELOPE_BYTES);
    if (at == NULL)
        return false;
    uint8_t *end = message_begin(at, d->outbox->next_sequence, MESSAGE_BATCH, size);
    end = encode_batch(&d->encoder, &place->thread, end);
    outbox_commit(d->outbox, (size_t)(end - at));
    d->batch = NULL;
    give_room(place);
    return true;
}

/* Takes a batch from a ring into the encoder. */
static void take_batch(struct drain *d, struct roster_place *place, uint64_t head, uint64_t now_ns)
{
    struct ring_words ring = {place->producer->words, RING_WORDS - 1};
    int64_t status = encode_records(&d->encoder, &place->thread, ring, head);
    if (status < 0)
        encode_skip(&d->encoder, &place->thread, head);
    place->drained_ns = now_ns;
    d->batch = place;
    d->looked = false;
}

static bool is_due(const struct roster_place *place, uint64_t words, uint64_t now_ns)
{
    return words >= MUCH_WORDS || now_ns - place->drained_ns >= LONG_NS ||
           ring_state(place->ring) == RING_ENDED;
}

/* Makes a batch of the drops of a thread that no record has told of. Returns false when there are none. */
static bool take_drops(struct drain *d, struct roster_place *place)
{
    uint64_t dropped = __atomic_load_n(&place->ring->dropped, __ATOMIC_RELAXED);
    if (!encode_drops(&d->encoder, &place->thread, dropped))
        return false;
    d->batch = place;
    return true;
}

/* Makes a batch of the ends of calls that a thread has left open at its own end. */
static bool take_end(struct drain *d, struct roster_place *place)
{
    if (!encode_end(&d->encoder, &place->thread, place->ring->ended_ticks))
        return false;
    d->batch = place;
    return true;
}

/* One batch of one ring. Returns whether anything moved. */
static bool drain_ring(struct drain *d, struct roster_place *place, uint64_t now_ns, bool everything)
{
    enum ring_state state = ring_state(place->ring);
    uint64_t head = __atomic_load_n(&place->ring->head, __ATOMIC_ACQUIRE);
    if (head == place->thread.position && state == RING_ENDED) {
        if (take_drops(d, place) || take_end(d, place))
            return put_pending(d);
        if (place->announced && !announce_thread(d->outbox, place->ring, true))
            return false;
        roster_release(place);
        return true;
    }
    if (d->watch.changing && head > place->barrier)
        head = place->barrier;
    uint64_t words = head - place->thread.position;
    /* Asked after the head was read: what comes before it was then recorded before. */
    bool paused = __atomic_load_n(d->closing, __ATOMIC_SEQ_CST) != 0 && !d->watch.changing;
    if (paused && !everything && words < RING_WORDS / 2)
        return false;
    if (words == 0 || !(everything || d->watch.changing || is_due(place, words, now_ns)))
        return false;
    take_batch(d, place, head, now_ns);
    return put_pending(d);
}

bool drain_rings(struct drain *d, uint64_t now_ns, bool everything)
{
    if (!put_pending(d))
        return false;
    bool moved = false;
    for (size_t i = 0; i < d->roster->count && d->batch == NULL; i++)
        if (d->roster->places[i].taken)
            moved |= drain_ring(d, &d->roster->places[i], now_ns, everything);
    return (d->batch == NULL && module_watch_forget(&d->watch)) || moved;
}

void drain_begin_end(struct drain *d)
{
    for (size_t i = 0; i < d->roster->count; i++) {
        struct roster_place *place = &d->roster->places[i];
        place->last_head = __atomic_load_n(&place->ring->head, __ATOMIC_ACQUIRE);
    }
}

bool drain_is_complete(const struct drain *d)
{
    if (d->batch != NULL)
        return false;
    for (size_t i = 0; i < d->roster->count; i++) {
        const struct roster_place *place = &d->roster->places[i];
        if (place->taken && (int64_t)(place->last_head - place->thread.position) > 0)
            return false;
    }
    return true;
}

bool drain_put_drops(struct drain *d)
{
    for (size_t i = 0; i < d->roster->count; i++) {
        struct roster_place *place = &d->roster->places[i];
        if (place->taken && take_drops(d, place) && !put_pending(d))
            return false;
    }
    return true;
}

uint64_t drain_due_ns(const struct drain *d)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < d->roster->count; i++) {
        const struct roster_place *place = &d->roster->places[i];
        if (!place->taken || __atomic_load_n(&place->ring->head, __ATOMIC_ACQUIRE) == place->thread.position)
            continue;
        if (place->drained_ns + LONG_NS < due)
            due = place->drained_ns + LONG_NS;
    }
    return due;
}
