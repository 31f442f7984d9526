#include "agent/ship/drain.h"

#include <errno.h>
#include <string.h>

#include "agent/life/file.h"
#include "agent/life/futex.h"
#include "agent/life/text.h"
#include "agent/ship/messages.h"

/* A ring is drained when it holds this much, or has waited this long. */
#define MUCH_WORDS (RING_WORDS / 8)
#define LONG_NS 50000000ull
#define SCAN_INTERVAL_NS 20000000ull
#define THREAD_NAME_BYTES 16

/* Fields of Thread and Goodbye. */
enum { NUMBER = 1, TID, NAME, STARTED_TICKS, ENDED_TICKS, STACK_BASE, CREATOR_TID };
enum { EXIT_CODE = 1, GOODBYE_CLOCK };

static bool put_message(struct drain *d, uint32_t field, const uint8_t *body, size_t size)
{
    uint8_t *at = outbox_reserve(d->outbox, size + MESSAGE_ENVELOPE_BYTES);
    if (at == NULL)
        return false;
    uint8_t *begin = message_begin(at, d->outbox->next_sequence, field, size);
    memcpy(begin, body, size);
    outbox_commit(d->outbox, (size_t)(begin + size - at));
    return true;
}

static bool put_modules(struct drain *d)
{
    for (size_t i = 0; i < d->modules.count; i++) {
        struct module *module = &d->modules.list[i];
        if (!module->announce || module->held)
            continue;
        uint8_t body[MODULE_MESSAGE_BYTES];
        if (!put_message(d, MESSAGE_MODULE, body, module_describe(module, body, sizeof body)))
            return false;
        module_announced(module);
    }
    return true;
}

int drain_open(struct drain *d, struct outbox *outbox, struct roster *roster, uint32_t max_depth)
{
    *d = (struct drain){.outbox = outbox, .roster = roster};
    int status = modules_open(&d->modules);
    if (status == 0)
        status = encoder_open(&d->encoder, 0, max_depth, &roster->next_thread);
    if (status < 0)
        return status;
    modules_scan(&d->modules, 0);
    /* Should the process be killed before anything else, it is known what its rings speak of. */
    put_modules(d);
    return 0;
}

/* A thread that has ended has set the rest of the header before. */
static enum ring_state ring_state(const struct ring_header *ring)
{
    return (enum ring_state)__atomic_load_n(&ring->state, __ATOMIC_ACQUIRE);
}

/* The kernel's name of a live thread; the ring has the last name of one that ended. */
static void read_thread_name(const struct ring_header *ring, char name[THREAD_NAME_BYTES])
{
    char path[64];
    struct text t = text_in(path, sizeof path);
    text_add(&t, "/proc/self/task/");
    text_add_number(&t, ring->tid);
    text_add(&t, "/comm");
    if (ring_state(ring) != RING_LIVE || file_read_line(path, name, THREAD_NAME_BYTES) <= 0)
        memcpy(name, ring->name, THREAD_NAME_BYTES);
    name[THREAD_NAME_BYTES - 1] = '\0';
}

/* `ended` says that nothing of the thread follows. */
static bool put_thread(struct drain *d, const struct roster_place *place, bool ended)
{
    uint8_t body[128];
    char name[THREAD_NAME_BYTES];
    const struct ring_header *ring = place->ring;
    struct proto p = {.bytes = body, .size = sizeof body};
    read_thread_name(ring, name);
    proto_uint(&p, NUMBER, ring->thread);
    proto_uint(&p, TID, ring->tid);
    proto_string(&p, NAME, name);
    proto_uint(&p, STARTED_TICKS, ring->started_ticks);
    proto_uint(&p, ENDED_TICKS, ended ? ring->ended_ticks : 0);
    proto_uint(&p, STACK_BASE, ring->stack_base);
    proto_uint(&p, CREATOR_TID, ring->creator_tid);
    return put_message(d, MESSAGE_THREAD, body, p.length);
}

bool drain_scan_modules(struct drain *d, uint64_t now_ticks)
{
    /* A module has to be announced before it may be gone. */
    if (d->changing || !put_modules(d))
        return false;
    d->changing = modules_scan(&d->modules, now_ticks);
    if (!d->changing)
        return true;
    for (size_t i = 0; i < d->roster->count; i++) {
        struct roster_place *place = &d->roster->places[i];
        place->barrier = __atomic_load_n(&place->ring->head, __ATOMIC_ACQUIRE);
    }
    d->unsure = modules_replaced(&d->modules);
    if (d->unsure)
        sites_forget(&d->encoder.sites, 0, UINT64_MAX);
    return true;
}

/* Forgets the modules that have gone, when what was recorded before has been encoded. Returns whether it
 * did. */
static bool finish_change(struct drain *d)
{
    if (!d->changing || d->batch != NULL)
        return false;
    for (size_t i = 0; i < d->roster->count; i++) {
        const struct roster_place *place = &d->roster->places[i];
        if (place->taken && place->thread.position < place->barrier)
            return false;
    }
    for (size_t i = 0; i < d->modules.count; i++) {
        const struct module *module = &d->modules.list[i];
        if (module->held && module->unloaded_ticks != 0)
            sites_forget(&d->encoder.sites, module->start, module->end);
    }
    if (d->unsure)
        sites_forget(&d->encoder.sites, 0, UINT64_MAX);
    modules_release(&d->modules);
    d->changing = false;
    return true;
}

static const uint64_t *address_without_module(struct drain *d)
{
    for (uint32_t i = 0; i < d->encoder.columns.new_address_count; i++)
        if (!modules_cover(&d->modules, d->encoder.columns.new_addresses[i]))
            return &d->encoder.columns.new_addresses[i];
    return NULL;
}

/* New sites at addresses where no module is known: one may have been loaded. If not, code is being made in
 * memory, and the next such address is not worth looking at once. */
static void look_for_modules(struct drain *d)
{
    uint64_t now_ns = address_without_module(d) != NULL ? clock_monotonic_ns() : 0;
    if (now_ns < d->next_scan_ns || now_ns == 0)
        return;
    if (drain_scan_modules(d, clock_ticks()) && address_without_module(d) != NULL)
        d->next_scan_ns = now_ns + SCAN_INTERVAL_NS;
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
    if (!put_modules(d))
        return false;
    if (place == NULL)
        return true;
    if (!d->looked)
        look_for_modules(d);
    d->looked = true;
    if (!put_modules(d))
        return false;
    if (!place->announced && !put_thread(d, place, false))
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
        if (place->announced && !put_thread(d, place, true))
            return false;
        roster_release(place);
        return true;
    }
    if (d->changing && head > place->barrier)
        head = place->barrier;
    uint64_t words = head - place->thread.position;
    /* Asked after the head was read: what comes before it was then recorded before. */
    bool paused = __atomic_load_n(d->closing, __ATOMIC_SEQ_CST) != 0 && !d->changing;
    if (paused && !everything && words < RING_WORDS / 2)
        return false;
    if (words == 0 || !(everything || d->changing || is_due(place, words, now_ns)))
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
    return finish_change(d) || moved;
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

bool drain_put_clock(struct drain *d, const struct clock_reading *reading)
{
    uint8_t message[80];
    struct proto p = {.bytes = message, .size = sizeof message};
    proto_uint(&p, MESSAGE_SEQUENCE, d->outbox->next_sequence);
    message_put_clock(&p, MESSAGE_CLOCK, reading);
    uint8_t *at = outbox_reserve(d->outbox, p.length);
    if (at == NULL)
        return false;
    memcpy(at, message, p.length);
    outbox_commit(d->outbox, p.length);
    return true;
}

bool drain_put_goodbye(struct drain *d, int exit_code, const struct clock_reading *reading)
{
    uint8_t body[96];
    struct proto p = {.bytes = body, .size = sizeof body};
    proto_uint(&p, EXIT_CODE, (uint64_t)exit_code & 0xff);
    message_put_clock(&p, GOODBYE_CLOCK, reading);
    return put_message(d, MESSAGE_GOODBYE, body, p.length);
}
