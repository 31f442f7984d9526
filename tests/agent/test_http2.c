/* The client's end of HTTP/2: flow control, settings and pings. */
#include "agent/ship/http2.h"

#include <string.h>

#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

static void test_window_of_the_stream_and_of_the_connection(void)
{
    struct peer *p = peer_greeted();
    size_t frames;
    peer_offer(p, 200000);
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
    peer_check_body(p, 200000);
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
    peer_offer(p, 100000);
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
    peer_offer(p, 100);
    peer_set(p, HTTP2_INITIAL_WINDOW_SIZE, 3);
    acknowledged(p);
    CHECK_EQUAL(peer_take_data(p, &frames), 3); /* a part of the message's prefix */
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 3);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(peer_take_data(p, &frames), 3);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 99);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(peer_take_data(p, &frames), 99);
    peer_check_body(p, 100);
    peer_close(p);
}

static void test_frame_size(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    size_t frames;
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 10000000);
    peer_put(p, HTTP2_SETTINGS, 0, 0, BYTES("\x00\x04\x00\x98\x96\x80\x00\x05\x00\xff\xff\xff"));
    acknowledged(p);
    CHECK_EQUAL(p->stream.http2.out.stream_window, 10000000);
    CHECK_EQUAL(p->stream.http2.peer_frame_limit, 16777215);
    peer_offer(p, PEER_MESSAGE_LIMIT);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK(peer_next(p, &frame));
    CHECK_EQUAL(frame.size, PEER_MESSAGE_LIMIT + 5);
    CHECK(memcmp(frame.payload, "\x00\x00\x10\x00\x00", 5) == 0);
    CHECK(memcmp(frame.payload + 5, peer_message, PEER_MESSAGE_LIMIT) == 0);
    peer_set(p, HTTP2_MAX_FRAME_SIZE, 16384);
    acknowledged(p);
    peer_offer(p, 16384 - 4);
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
    test_window_updates();
    return 0;
}
