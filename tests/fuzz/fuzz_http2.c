/*
 * The input is what a server sends. Byte 0 chooses: its low 4 bits, the size of the pieces it comes in;
 * FINISH, that the client half-closes; LARGE, that it sends messages that need window updates; FAULTS, that
 * its system calls are interrupted, or would block, every so often. Byte 1 is how many messages it sends.
 *
 * Beyond memory errors, what the client sends must be what it may send: whole frames, that carry exactly
 * the messages that were offered.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/life/sys.h"
#include "agent/ship/grpc.h"
#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

enum { FINISH = 0x10, LARGE = 0x20, FAULTS = 0x40, MESSAGE_LIMIT = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sent {
    uint64_t body; /* bytes of DATA */
    bool ended;
};

static uint8_t message[MESSAGE_LIMIT];
static bool faults;
static unsigned calls;

long sys_fault(long number)
{
    (void)number;
    calls++;
    return !faults ? 0 : calls % 5 == 0 ? -EAGAIN : calls % 3 == 0 ? -EINTR : 0;
}

/* The byte that belongs at this place of what the client sends: messages of one size, each with a prefix. */
static uint8_t expected_byte(uint64_t at, uint32_t message_size)
{
    uint64_t within = at % (5 + message_size);
    return within < 1 ? 0 : within < 5 ? (uint8_t)(message_size >> (8 * (4 - within))) : message[within - 5];
}

static void check_frame(const struct peer_frame *f, struct sent *sent, uint32_t message_size)
{
    CHECK(f->stream <= 1);
    switch (f->type) {
    case HTTP2_DATA:
        CHECK(f->stream == 1 && !sent->ended);
        for (uint32_t i = 0; i < f->size; i++)
            CHECK(f->payload[i] == expected_byte(sent->body + i, message_size));
        sent->body += f->size;
        sent->ended = f->flags & HTTP2_END_STREAM;
        CHECK(!sent->ended || sent->body % (5 + message_size) == 0);
        return;
    case HTTP2_SETTINGS:
        CHECK(f->flags == HTTP2_ACK && f->size == 0 && f->stream == 0);
        return;
    case HTTP2_PING:
        CHECK(f->flags == HTTP2_ACK && f->size == 8 && f->stream == 0);
        return;
    case HTTP2_WINDOW_UPDATE:
        CHECK(f->size == 4 && http2_get32(f->payload) > 0 && http2_get32(f->payload) < 1 << 20);
        return;
    default:
        CHECK(!"a frame that a client of ours does not send");
    }
}

static void check_frames(struct peer *p, struct sent *sent, uint32_t message_size)
{
    struct peer_frame frame;
    while (peer_next(p, &frame))
        check_frame(&frame, sent, message_size);
    /* What is left is a frame cut short; move it to the front. */
    memmove(p->sent, p->sent + p->sent_at, p->sent_size - p->sent_at);
    p->sent_size -= p->sent_at;
    p->sent_at = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t choice = data[0];
    uint8_t to_send = data[1];
    uint32_t message_size = choice & LARGE ? MESSAGE_LIMIT : 10;
    size_t piece = (size_t)1 << (choice & 0xf);
    faults = false;
    struct peer *p = peer_open();
    faults = choice & FAULTS;
    calls = 0;
    struct sent sent = {0};
    int events = 0;
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 2654435761u >> 16);

    for (size_t at = 2; at < size && events >= 0 && !(events & GRPC_ENDED); at += piece) {
        if (to_send > 0 && !grpc_sending(&p->stream)) {
            CHECK_EQUAL(grpc_offer(&p->stream, message, message_size), 0);
            to_send--;
        }
        if (to_send == 0 && choice & FINISH)
            CHECK_EQUAL(grpc_finish(&p->stream), 0);
        peer_write(p, data + at, size - at < piece ? size - at : piece);
        p->messages_size = 0;
        events = peer_pump(p);
        check_frames(p, &sent, message_size);
        /* Over once means over. */
        CHECK(events >= 0 || grpc_pump(&p->stream) == events);
        CHECK((grpc_status(&p->stream, NULL, 0) >= 0) == (events >= 0 && (events & GRPC_ENDED)));
    }
    peer_close(p);
    return 0;
}
