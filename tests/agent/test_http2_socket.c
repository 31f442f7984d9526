/* The client's end of HTTP/2 on a socket that is full, cuts frames anywhere, or brings too much. */
#include "agent/ship/http2.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

/* However many, they are answered as long as the peer reads; and our memory for answers has an end. */
static void test_ping_flood(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    uint8_t pings[2000 * 17];
    for (int i = 0; i < 2000; i++)
        memcpy(pings + i * 17, "\x00\x00\x08\x06\x00\x00\x00\x00\x00question", 17);
    peer_write(p, pings, sizeof pings);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    for (int i = 0; i < 2000; i++)
        CHECK(peer_next(p, &frame) && frame.type == HTTP2_PING);

    int events = 0;
    int rounds = 0;
    for (; events >= 0; rounds++) {
        CHECK(rounds < 10000);
        peer_write(p, pings, sizeof pings);
        events = grpc_pump(&p->stream);
        CHECK(p->stream.http2.control_end <= HTTP2_CONTROL_SIZE);
    }
    CHECK(rounds > 1);
    CHECK_EQUAL(events, -EPROTO);
    peer_close(p);
}

/* Answers go between frames, wherever a full socket cut the sending short. */
static void test_full_socket(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    size_t data = 0;
    int pings = 0;
    int waits = 0;
    int events = 0;
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 10000000);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 10000000);
    int least = 1;
    CHECK_EQUAL(setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    peer_offer(p, PEER_MESSAGE_LIMIT);
    while (!(events & GRPC_SENT)) {
        peer_put(p, HTTP2_PING, 0, 0, BYTES("question"));
        events = grpc_pump(&p->stream);
        CHECK(events > 0);
        CHECK(!(events & GRPC_WANT_WRITE) == !grpc_sending(&p->stream));
        waits += (events & GRPC_WANT_WRITE) != 0;
        pings++;
        /* An odd number of bytes at a time: the cuts fall everywhere. */
        ssize_t got = recv(p->fd, p->sent + p->sent_size, 2999, 0);
        CHECK(got > 0);
        p->sent_size += (size_t)got;
    }
    CHECK(waits > 100);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(peer_next(p, &frame) && frame.type == HTTP2_SETTINGS);
    while (peer_next(p, &frame)) {
        if (frame.type == HTTP2_PING) {
            pings--;
            continue;
        }
        CHECK_EQUAL(frame.type, HTTP2_DATA);
        size_t skip = data == 0 ? 5 : 0;
        CHECK(memcmp(frame.payload + skip, peer_message + data, frame.size - skip) == 0);
        data += frame.size - skip;
    }
    CHECK_EQUAL(data, PEER_MESSAGE_LIMIT);
    CHECK_EQUAL(pings, 0);
    CHECK_EQUAL(p->sent_at, p->sent_size);
    peer_close(p);
}

/* A send that ends within a frame's header is carried on there. A send buffer of 2 n bytes makes the kernel
 * take pieces of n - 64. */
static void test_cut_within_a_header(void)
{
    int cuts = 0;
    for (int extra = 0; extra <= 9; extra++) {
        struct peer *p = peer_greeted();
        size_t frames;
        int size = 16384 + 9 + 64 + extra;
        CHECK_EQUAL(setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
        peer_offer(p, 60000);
        int events = grpc_pump(&p->stream);
        CHECK_EQUAL(events, GRPC_WANT_READ | GRPC_WANT_WRITE);
        cuts += p->stream.http2.out.header_left > 0 && p->stream.http2.out.header_left < 9;
        while (!(events & GRPC_SENT)) {
            peer_read(p);
            events = grpc_pump(&p->stream);
            CHECK(events > 0);
        }
        peer_read(p);
        peer_take_data(p, &frames);
        peer_check_body(p, 60000);
        peer_close(p);
    }
    CHECK(cuts > 0);
}

static void ask(struct peer *p, uint32_t *asked, uint32_t count)
{
    uint8_t pings[400 * 17];
    for (uint32_t i = 0; i < count; i++, ++*asked) {
        memcpy(pings + i * 17, "\x00\x00\x08\x06\x00\x00\x00\x00\x00", 9);
        http2_put32(pings + i * 17 + 9, *asked);
        http2_put32(pings + i * 17 + 13, ~*asked);
    }
    peer_write(p, pings, count * 17);
    CHECK(grpc_pump(&p->stream) > 0);
    ssize_t got = recv(p->fd, p->sent + p->sent_size, 2240, 0);
    CHECK(got > 0);
    p->sent_size += (size_t)got;
}

/* Answers keep their order while the queue is moved within its memory. In each round the socket takes some
 * of the answers, and as many are asked for as make 400, which is most of what the queue holds. */
static void test_answers_wait_in_order(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    uint32_t asked = 0;
    int moved = 0;
    int least = 1;
    CHECK_EQUAL(setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    for (int round = 0; round < 200; round++) {
        const struct http2 *c = &p->stream.http2;
        uint32_t before = c->control_end;
        uint32_t waiting = (c->control_end - c->out.control_at) / 17;
        ask(p, &asked, 400 - waiting);
        moved += c->control_end < before;
    }
    CHECK(moved > 10);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    for (uint32_t answered = 0; answered < asked; answered++) {
        CHECK(peer_next(p, &frame));
        CHECK(frame.type == HTTP2_PING && frame.flags == HTTP2_ACK && frame.size == 8);
        CHECK_EQUAL(http2_get32(frame.payload), answered);
        CHECK_EQUAL(http2_get32(frame.payload + 4), ~answered);
    }
    CHECK_EQUAL(p->sent_at, p->sent_size);
    peer_close(p);
}

/* The kernel writes into the receive buffer, unseen by a sanitizer: what lies behind must stay as it is. */
static void test_receive_buffer_has_an_end(void)
{
    struct peer *p = peer_greeted();
    static uint8_t frames[8][9 + 16384];
    memset(p->stream.scratch, 0x5a, sizeof p->stream.scratch);
    for (int i = 0; i < 8; i++)
        http2_put_header(frames[i], 16384, 0xfe, 0, 0); /* of an unknown type */
    peer_write(p, frames[0], 16000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    peer_write(p, frames[0] + 16000, sizeof frames - 16000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(p->stream.http2.in_size, 0);
    for (size_t i = 0; i < sizeof p->stream.scratch; i++)
        CHECK_EQUAL(p->stream.scratch[i], 0x5a);
    peer_close(p);
}

int main(void)
{
    test_ping_flood();
    test_full_socket();
    test_cut_within_a_header();
    test_answers_wait_in_order();
    test_receive_buffer_has_an_end();
    return 0;
}
