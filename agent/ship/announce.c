#include "agent/ship/announce.h"

#include <string.h>

#include "agent/life/file.h"
#include "agent/life/text.h"
#include "agent/life/thread.h"
#include "agent/ship/messages.h"

/* Fields of Thread and Goodbye. */
enum { NUMBER = 1, TID, NAME, STARTED_TICKS, ENDED_TICKS, STACK_BASE, CREATOR_TID };
enum { EXIT_CODE = 1, GOODBYE_CLOCK };

bool announce(struct outbox *outbox, uint32_t field, const uint8_t *body, size_t size)
{
    uint8_t *at = outbox_reserve(outbox, size + MESSAGE_ENVELOPE_BYTES);
    if (at == NULL)
        return false;
    uint8_t *begin = message_begin(at, outbox->next_sequence, field, size);
    memcpy(begin, body, size);
    outbox_commit(outbox, (size_t)(begin + size - at));
    return true;
}

/* The kernel's name of a live thread; the ring has the last name of one that ended. */
static void read_thread_name(const struct ring_header *ring, char name[THREAD_NAME_BYTES])
{
    char path[64];
    struct text t = text_in(path, sizeof path);
    text_add(&t, "/proc/self/task/");
    text_add_number(&t, ring->tid);
    text_add(&t, "/comm");
    if (__atomic_load_n(&ring->state, __ATOMIC_ACQUIRE) != RING_LIVE ||
        file_read_line(path, name, THREAD_NAME_BYTES) <= 0)
        memcpy(name, ring->name, THREAD_NAME_BYTES);
    name[THREAD_NAME_BYTES - 1] = '\0';
}

bool announce_thread(struct outbox *outbox, const struct ring_header *ring, bool ended)
{
    uint8_t body[128];
    char name[THREAD_NAME_BYTES];
    struct proto p = {.bytes = body, .size = sizeof body};
    read_thread_name(ring, name);
    proto_uint(&p, NUMBER, ring->thread);
    proto_uint(&p, TID, ring->tid);
    proto_string(&p, NAME, name);
    proto_uint(&p, STARTED_TICKS, ring->started_ticks);
    proto_uint(&p, ENDED_TICKS, ended ? ring->ended_ticks : 0);
    proto_uint(&p, STACK_BASE, ring->stack_base);
    proto_uint(&p, CREATOR_TID, ring->creator_tid);
    return announce(outbox, MESSAGE_THREAD, body, p.length);
}

bool announce_clock(struct outbox *outbox, const struct clock_reading *reading)
{
    uint8_t message[80];
    struct proto p = {.bytes = message, .size = sizeof message};
    proto_uint(&p, MESSAGE_SEQUENCE, outbox->next_sequence);
    message_put_clock(&p, MESSAGE_CLOCK, reading);
    uint8_t *at = outbox_reserve(outbox, p.length);
    if (at == NULL)
        return false;
    memcpy(at, message, p.length);
    outbox_commit(outbox, p.length);
    return true;
}

bool announce_goodbye(struct outbox *outbox, int exit_code, const struct clock_reading *reading)
{
    uint8_t body[96];
    struct proto p = {.bytes = body, .size = sizeof body};
    proto_uint(&p, EXIT_CODE, (uint64_t)exit_code & 0xff);
    message_put_clock(&p, GOODBYE_CLOCK, reading);
    return announce(outbox, MESSAGE_GOODBYE, body, p.length);
}
