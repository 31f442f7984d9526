/* The call: what opens it, messages both ways, and connections and system calls that fail. */
#include "agent/ship/grpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/life/sys.h"
#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

/* The next `fault_count` system calls of this number fail. */
static long fault_number;
static long fault_error;
static int fault_count;

long sys_fault(long number)
{
    if (number != fault_number || fault_count == 0)
        return 0;
    fault_count--;
    return fault_error;
}

static void fail(long number, long error, int count)
{
    fault_number = number;
    fault_error = error;
    fault_count = count;
}

static void test_request(void)
{
    static const char EXPECTED[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                   "\x00\x00\x12\x04\x00\x00\x00\x00\x00"
                                   "\x00\x01\x00\x00\x00\x00"
                                   "\x00\x02\x00\x00\x00\x00"
                                   "\x00\x06\x00\x00\x40\x00"
                                   "\x00\x00\xa5\x01\x04\x00\x00\x00\x01"
                                   "\x00\x07:method\x04POST"
                                   "\x00\x07:scheme\x04http"
                                   "\x00\x05:path\x06/p.S/M"
                                   "\x00\x0a:authority\x09localhost"
                                   "\x00\x02te\x08trailers"
                                   "\x00\x0c"
                                   "content-type\x10"
                                   "application/grpc"
                                   "\x00\x0auser-agent\x0f"
                                   "calltrace-agent"
                                   "\x10\x0d"
                                   "authorization\x0d"
                                   "Bearer secret";
    struct peer *p = peer_open();
    CHECK_EQUAL(p->sent_size, sizeof EXPECTED - 1);
    CHECK(memcmp(p->sent, EXPECTED, sizeof EXPECTED - 1) == 0);
    peer_close(p);
}

static void test_largest_message_sent(void)
{
    struct peer *p = peer_greeted();
    static uint8_t message[GRPC_SEND_LIMIT];
    CHECK_EQUAL(grpc_offer(&p->stream, message, sizeof message), 0);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    peer_close(p);
}

static void test_open_refuses(void)
{
    static struct grpc_stream s;
    static char token[8192];
    memset(token, 't', sizeof token - 1);
    CHECK_EQUAL(grpc_open(&s, -1, "/p.S/M", "localhost", token, NULL, NULL), -EMSGSIZE);
    token[4000] = '\0';
    CHECK_EQUAL(grpc_open(&s, -1, "/p.S/M", "localhost", token, NULL, NULL), -EMSGSIZE);
    CHECK_EQUAL(grpc_pump(&s), -EMSGSIZE);
    CHECK_EQUAL(grpc_open(&s, -1, "/p.S/M", "localhost", "to\nken", NULL, NULL), -EINVAL);
    CHECK_EQUAL(grpc_offer(&s, "m", 1), -EINVAL);
    CHECK_EQUAL(grpc_open(&s, -1, "/p.S/M", "localhost", NULL, NULL, NULL), 0);
    CHECK_EQUAL(grpc_pump(&s), -EBADF);
}

static void test_sending(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    static uint8_t message[GRPC_SEND_LIMIT + 1];
    CHECK_EQUAL(grpc_offer(&p->stream, message, sizeof message), -EMSGSIZE);
    CHECK(!grpc_sending(&p->stream));
    CHECK_EQUAL(grpc_offer(&p->stream, "hello", 5), 0);
    CHECK_EQUAL(grpc_offer(&p->stream, "world", 5), -EBUSY);
    CHECK(grpc_sending(&p->stream));
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(peer_next(p, &frame) && frame.type == HTTP2_DATA && frame.flags == 0 && frame.stream == 1);
    CHECK(frame.size == 10 && memcmp(frame.payload, "\x00\x00\x00\x00\x05hello", 10) == 0);
    CHECK_EQUAL(grpc_offer(&p->stream, NULL, 0), 0);
    CHECK_EQUAL(grpc_finish(&p->stream), 0);
    CHECK_EQUAL(grpc_offer(&p->stream, "late", 4), -EPIPE);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK(peer_next(p, &frame) && frame.flags == 0 && frame.size == 5);
    CHECK(memcmp(frame.payload, "\x00\x00\x00\x00\x00", 5) == 0);
    CHECK(peer_next(p, &frame) && frame.flags == HTTP2_END_STREAM && frame.size == 0);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(!peer_next(p, &frame));
    peer_close(p);
}

/* END_STREAM waits for a message that the windows hold back, and needs no window itself. */
static void test_finishing_waits(void)
{
    struct peer *p = peer_greeted();
    struct peer_frame frame;
    static uint8_t message[65531];
    CHECK_EQUAL(grpc_offer(&p->stream, message, sizeof message), 0);
    CHECK_EQUAL(grpc_finish(&p->stream), 0);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    for (int i = 0; i < 4; i++)
        CHECK(peer_next(p, &frame) && frame.flags == 0);
    CHECK(!peer_next(p, &frame));
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 1);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 1);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK(peer_next(p, &frame) && frame.flags == 0 && frame.size == 1);
    CHECK(peer_next(p, &frame) && frame.flags == HTTP2_END_STREAM && frame.size == 0);
    peer_close(p);
}

static void test_longest_message_received(void)
{
    struct peer *p = peer_responded();
    static uint8_t data[5 + 65536] = {0, 0, 1, 0, 0};
    for (size_t i = 5; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 16);
    for (size_t at = 0; at < sizeof data; at += 16384) {
        size_t size = sizeof data - at < 16384 ? sizeof data - at : 16384;
        peer_put(p, HTTP2_DATA, 0, 1, data + at, size);
    }
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(p->message_count, 1);
    CHECK_EQUAL(p->messages_size, 65536);
    CHECK(memcmp(p->messages, data + 5, 65536) == 0);
    peer_close(p);
}

/* All that a server may say, from its first byte to its last, with every part that frames may have. */
static size_t converse(uint8_t *bytes)
{
    static const struct {
        uint8_t type, flags, stream;
        const char *payload;
        size_t size;
    } FRAMES[] = {
        {HTTP2_SETTINGS, 0, 0, BYTES("\x00\x03\x00\x00\x00\x64")},
        {HTTP2_PING, 0, 0, BYTES("question")},
        {HTTP2_HEADERS, HTTP2_END_HEADERS, 1,
         BYTES("\x08\x03"
               "103")}, /* early hints, then the real ones */
        {HTTP2_HEADERS, HTTP2_PADDED | HTTP2_HAS_PRIORITY, 1, BYTES("\x02\x80\x00\x00\x00\xff\x20\x00\x00")},
        {HTTP2_CONTINUATION, 0, 1, NULL, 0},
        {HTTP2_CONTINUATION, HTTP2_END_HEADERS, 1,
         BYTES("\x88\x5f\x10"
               "application/grpc")},
        {HTTP2_DATA, HTTP2_PADDED, 1,
         BYTES("\x03"
               "\x00\x00\x00\x00\x05hello"
               "\x00\x00"
               "pad")},
        {0xfe, 0xff, 7, BYTES("an extension")},
        {HTTP2_DATA, 0, 1, NULL, 0},
        {HTTP2_DATA, 0, 1,
         BYTES("\x00\x00\x00"
               "\x00\x00\x00\x00\x01"
               "!")}, /* an empty message within */
        {HTTP2_WINDOW_UPDATE, 0, 1, BYTES("\x00\x00\x10\x00")},
        {HTTP2_GOAWAY, 0, 0,
         BYTES("\x00\x00\x00\x01\x00\x00\x00\x00"
               "bye")},
        {HTTP2_HEADERS, HTTP2_END_HEADERS | HTTP2_END_STREAM, 1,
         /* grpc-status 5, grpc-message "caf%C3%A9", all Huffman-coded */
         BYTES("\x00\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f"
               "\x81\x6f"
               "\x00\x89\x9a\xca\xc8\xb5\x25\x42\x07\x31\x7f"
               "\x87\x20\xe5\x56\xf3\x2a\xc2\xff")},
    };
    size_t size = 0;
    for (size_t i = 0; i < sizeof FRAMES / sizeof *FRAMES; i++) {
        http2_put_header(bytes + size, (uint32_t)FRAMES[i].size, FRAMES[i].type, FRAMES[i].flags,
                         FRAMES[i].stream);
        if (FRAMES[i].size > 0)
            memcpy(bytes + size + 9, FRAMES[i].payload, FRAMES[i].size);
        size += 9 + FRAMES[i].size;
    }
    return size;
}

/* Delivered in pieces of any size, it comes out the same. */
static void test_conversation_in_pieces(void)
{
    static uint8_t bytes[1024];
    size_t size = converse(bytes);
    for (size_t piece = 1; piece <= size; piece++) {
        struct peer *p = peer_open();
        struct peer_frame frame;
        int events = 0;
        int seen = 0;
        for (size_t at = 0; at < size; at += piece) {
            CHECK(!(events & GRPC_ENDED));
            CHECK_EQUAL(grpc_status(&p->stream, NULL, 0), -1);
            peer_write(p, bytes + at, size - at < piece ? size - at : piece);
            events = peer_pump(p);
            CHECK(events > 0);
            seen |= events;
        }
        CHECK_EQUAL(events & ~GRPC_GOING_AWAY, GRPC_ENDED);
        CHECK(seen & GRPC_GOING_AWAY);
        CHECK_EQUAL(p->message_count, 3);
        CHECK(p->messages_size == 6 && memcmp(p->messages, "hello!", 6) == 0);
        peer_check_status(p, 5, "caf\xc3\xa9");
        if (piece == size) /* over before there was a chance to answer */
            break;
        CHECK(peer_next(p, &frame) && frame.type == HTTP2_SETTINGS && frame.flags == HTTP2_ACK);
        CHECK(peer_next(p, &frame) && frame.type == HTTP2_PING && frame.flags == HTTP2_ACK);
        CHECK(!peer_next(p, &frame));
        peer_close(p);
    }
}

static void test_closed_by_the_peer(void)
{
    struct peer *p = peer_responded();
    shutdown(p->fd, SHUT_RDWR);
    CHECK_EQUAL(peer_pump(p), -ECONNRESET);
    CHECK_EQUAL(grpc_finish(&p->stream), -ECONNRESET);
    CHECK_EQUAL(grpc_status(&p->stream, NULL, 0), -1);
    peer_close(p);
}

/* The reason comes before the end, and is taken although there was still something to send. */
static void test_reason_before_the_end(void)
{
    static uint8_t message[1 << 20];
    struct peer *p = peer_responded();
    peer_put32(p, HTTP2_WINDOW_UPDATE, 0, 10000000);
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 10000000);
    CHECK_EQUAL(grpc_pump(&p->stream), GRPC_WANT_READ);
    CHECK_EQUAL(grpc_offer(&p->stream, message, sizeof message), 0);
    CHECK_EQUAL(grpc_pump(&p->stream), GRPC_WANT_READ | GRPC_WANT_WRITE);
    peer_put(p, HTTP2_HEADERS, 5, 1,
             BYTES("\x00\x0b"
                   "grpc-status\x01"
                   "8"));
    shutdown(p->fd, SHUT_RDWR);
    /* It had not come when we looked first. */
    fail(SYS_recvfrom, -EAGAIN, 1);
    CHECK_EQUAL(grpc_pump(&p->stream), GRPC_ENDED);
    CHECK_EQUAL(fault_count, 0);
    CHECK_EQUAL(grpc_status(&p->stream, NULL, 0), 8);
    peer_close(p);
}

static void test_failing_calls(void)
{
    struct peer *p = peer_greeted();
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), 0);
    fail(SYS_sendmsg, -EINTR, 3);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    CHECK_EQUAL(fault_count, 0);
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), 0);
    fail(SYS_sendmsg, -EAGAIN, 1);
    CHECK_EQUAL(grpc_pump(&p->stream), GRPC_WANT_READ | GRPC_WANT_WRITE);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ | GRPC_SENT);
    fail(SYS_recvfrom, -EINTR, 3);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK_EQUAL(fault_count, 0);
    fail(SYS_recvfrom, -ETIMEDOUT, 1);
    CHECK_EQUAL(peer_pump(p), -ETIMEDOUT);
    CHECK_EQUAL(peer_pump(p), -ETIMEDOUT);
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), -ETIMEDOUT);
    peer_close(p);

    p = peer_greeted();
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), 0);
    fail(SYS_sendmsg, -ENOBUFS, 1);
    CHECK_EQUAL(peer_pump(p), -ENOBUFS);
    peer_close(p);
}

/* Opened again, a struct remembers nothing. */
static void test_opened_again(void)
{
    struct peer *p = peer_responded();
    peer_put32(p, HTTP2_WINDOW_UPDATE, 1, 12345);
    peer_put(p, HTTP2_DATA, 0, 1, BYTES("\x00\x00\x00\x00\x05hel"));
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), 0);
    CHECK_EQUAL(grpc_finish(&p->stream), 0);
    peer_put(p, HTTP2_GOAWAY, 0, 0, BYTES("\x00\x00\x00\x01\x00\x00\x00\x00"));
    peer_put(p, HTTP2_PING, 0, 0, BYTES("qu")); /* malformed */
    CHECK_EQUAL(peer_pump(p), -EPROTO);
    peer_close(p);
    test_request();
    test_sending();
    test_longest_message_received();
}

int main(void)
{
    test_request();
    test_open_refuses();
    test_sending();
    test_largest_message_sent();
    test_finishing_waits();
    test_longest_message_received();
    test_conversation_in_pieces();
    test_closed_by_the_peer();
    test_reason_before_the_end();
    test_failing_calls();
    test_opened_again();
    return 0;
}
