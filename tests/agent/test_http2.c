/* The client's end of HTTP/2: frames, flow control, and what a peer must not do. */
#include "agent/ship/http2.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

static uint8_t message[1 << 20];

static void offer(struct peer *p, size_t size)
{
    CHECK_EQUAL(grpc_offer(&p->stream, message, size), 0);
}

static void test_window_of_the_stream_and_of_the_connection(void)
{
    struct peer *p = peer_greeted();
    size_t frames;
    offer(p, 200000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 65535);
    CHECK_EQUAL(frames, 4); /* of up to 16,384 bytes */
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 100000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 0);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 1);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 1);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 0x80000000u | 100000); /* the reserved bit means nothing */
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 99999);
    CHECK(grpc_sending(&p->stream));
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 100000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 1);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 100000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(peer_take_data(p, &frames), 200005 - 65535 - 1 - 99999 - 1);
    CHECK(!grpc_sending(&p->stream));
    peer_close(p);
}

static void acknowledged(struct peer *p)
{
    struct peer_frame frame;
    CHECK_EQUAL(peer_pump(p) & ~GRPC_SENT, GRPC_WANT_READ);
    CHECK(peer_next(p, &frame));
    CHECK(frame.type == HTTP2_SETTINGS && frame.flags == HTTP2_ACK && frame.stream == 0 && frame.size == 0);
}

static void test_initial_window_becomes_smaller_than_what_is_used(void)
{
    struct peer *p = peer_greeted();
    size_t frames;
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 1000000); /* the connection's is not in the way */
    offer(p, 100000);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 65535);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 1000); /* the stream's window is now 1,000 - 65,535 */
    acknowledged(p);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 64535); /* and now 0 */
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 0);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 7);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 7);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 0); /* -1,000 */
    acknowledged(p);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 1010); /* 10 */
    acknowledged(p);
    CHECK_EQUAL(peer_take_data(p, &frames), 10);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, HTTP2_WINDOW_MAX);
    acknowledged(p);
    CHECK_EQUAL(peer_take_data(p, &frames), 100005 - 65535 - 7 - 10);
    peer_close(p);
}

static void test_window_before_the_first_message(void)
{
    struct peer *p = peer_open();
    size_t frames;
    offer(p, 100);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 3);
    acknowledged(p);
    CHECK_EQUAL(peer_take_data(p, &frames), 3); /* a part of the message's prefix */
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 3);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 3);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 99);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(peer_take_data(p, &frames), 99);
    peer_close(p);
}

static void test_frame_size(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    size_t frames;
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 10000000);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 10000000);
    peer_set(p, HTTP2_MAX_FRAME_SIZE, 16777215);
    acknowledged(p);
    CHECK(peer_next(p, &frame) && frame.type == HTTP2_SETTINGS);
    offer(p, sizeof message);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK(peer_next(p, &frame));
    CHECK_EQUAL(frame.size, sizeof message + 5);
    CHECK(memcmp(frame.payload, "\x00\x00\x10\x00\x00", 5) == 0);
    CHECK(memcmp(frame.payload + 5, message, sizeof message) == 0);
    peer_set(p, HTTP2_MAX_FRAME_SIZE, 16384);
    acknowledged(p);
    offer(p, 16384 - 4);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(peer_take_data(p, &frames), 16385);
    CHECK_EQUAL(frames, 2);
    peer_close(p);
}

static void test_ping(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    peer_put(p, HTTP2_PING, HTTP2_ACK, 0, BYTES("answered"));
    peer_put(p, HTTP2_PING, 0, 0, BYTES("question"));
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(peer_next(p, &frame));
    CHECK(frame.type == HTTP2_PING && frame.flags == HTTP2_ACK && frame.stream == 0 && frame.size == 8);
    CHECK(memcmp(frame.payload, "question", 8) == 0);
    CHECK(!peer_next(p, &frame));
    peer_close(p);
}

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
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 2654435761u >> 16);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 10000000);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 10000000);
    int least = 1;
    CHECK_EQUAL(setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    offer(p, sizeof message);
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
        CHECK(memcmp(frame.payload + skip, message + data, frame.size - skip) == 0);
        data += frame.size - skip;
    }
    CHECK_EQUAL(data, sizeof message);
    CHECK_EQUAL(pings, 0);
    CHECK_EQUAL(p->sent_at, p->sent_size);
    peer_close(p);
}

/* The credit given back for what is received is exact, padding included. */
static void test_window_updates(void)
{
    struct peer *p = peer_responded();
    struct peer_frame frame;
    uint8_t data[16384] = {255, 0, 0, 0, 0x3e, 0xfb}; /* 255 bytes of padding; a message of 16,123 */
    size_t received = 0;
    size_t credit[2] = {0, 0};
    for (int i = 0; i < 100; i++) {
        peer_put(p, HTTP2_DATA, HTTP2_PADDED, 1, data, sizeof data);
        received += sizeof data;
        CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
        while (peer_next(p, &frame)) {
            CHECK_EQUAL(frame.type, HTTP2_WINDOW_UPDATE);
            CHECK(frame.size == 4 && frame.stream <= 1);
            credit[frame.stream] += http2_get32(frame.payload);
        }
        CHECK(received - credit[0] < 20000);
        CHECK_EQUAL(credit[0], credit[1]);
        CHECK(credit[0] <= received);
    }
    CHECK_EQUAL(p->message_count, 100);
    peer_close(p);
}

int main(void)
{
    test_window_of_the_stream_and_of_the_connection();
    test_initial_window_becomes_smaller_than_what_is_used();
    test_window_before_the_first_message();
    test_frame_size();
    test_ping();
    test_ping_flood();
    test_full_socket();
    test_window_updates();
    return 0;
}
