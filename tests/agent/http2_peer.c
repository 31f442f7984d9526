/* See http2_peer.h. */
#include "tests/agent/http2_peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/agent/check.h"

static struct peer the_peer;
uint8_t peer_message[PEER_MESSAGE_LIMIT];

static void on_message(void *context, const void *message, size_t size)
{
    struct peer *p = context;
    CHECK(size <= sizeof p->messages - p->messages_size);
    memcpy(p->messages + p->messages_size, message, size);
    p->messages_size += size;
    p->message_count++;
}

void peer_read(struct peer *p)
{
    for (;;) {
        ssize_t got = recv(p->fd, p->sent + p->sent_size, sizeof p->sent - p->sent_size, MSG_DONTWAIT);
        if (got <= 0)
            return;
        p->sent_size += (size_t)got;
        CHECK(p->sent_size < sizeof p->sent);
    }
}

int peer_pump(struct peer *p)
{
    int seen = 0;
    for (;;) {
        int events = grpc_pump(&p->stream);
        peer_read(p);
        if (events < 0)
            return events;
        seen |= events;
        if (!(events & GRPC_WANT_WRITE))
            return seen & ~GRPC_WANT_WRITE;
    }
}

void peer_write(struct peer *p, const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(p->fd, bytes, size, MSG_NOSIGNAL);
        CHECK(sent > 0);
        bytes = (const uint8_t *)bytes + sent;
        size -= (size_t)sent;
    }
}

void peer_put(struct peer *p, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size)
{
    const uint8_t header[9] = {
        (uint8_t)(size >> 16),
        (uint8_t)(size >> 8),
        (uint8_t)size,
        type,
        flags,
        (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16),
        (uint8_t)(stream >> 8),
        (uint8_t)stream,
    };
    peer_write(p, header, sizeof header);
    peer_write(p, payload, size);
}

void peer_put32(struct peer *p, uint8_t type, uint32_t stream, uint32_t value)
{
    const uint8_t payload[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                                (uint8_t)value};
    peer_put(p, type, 0, stream, payload, sizeof payload);
}

void peer_set(struct peer *p, uint16_t setting, uint32_t value)
{
    const uint8_t payload[6] = {(uint8_t)(setting >> 8), (uint8_t)setting,      (uint8_t)(value >> 24),
                                (uint8_t)(value >> 16),  (uint8_t)(value >> 8), (uint8_t)value};
    peer_put(p, 4, 0, 0, payload, sizeof payload);
}

bool peer_next(struct peer *p, struct peer_frame *frame)
{
    const uint8_t *at = p->sent + p->sent_at;
    size_t left = p->sent_size - p->sent_at;
    if (left < 9)
        return false;
    frame->size = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
    frame->type = at[3];
    frame->flags = at[4];
    frame->stream = (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
    frame->payload = at + 9;
    if (left - 9 < frame->size)
        return false;
    p->sent_at += 9 + frame->size;
    return true;
}

size_t peer_take_data(struct peer *p, size_t *frames)
{
    struct peer_frame frame;
    size_t size = 0;
    *frames = 0;
    while (peer_next(p, &frame)) {
        CHECK_EQUAL(frame.type, 0);
        CHECK_EQUAL(frame.stream, 1);
        CHECK(frame.size <= sizeof p->body - p->body_size);
        memcpy(p->body + p->body_size, frame.payload, frame.size);
        p->body_size += frame.size;
        size += frame.size;
        ++*frames;
    }
    CHECK_EQUAL(p->sent_at, p->sent_size);
    return size;
}

void peer_offer(struct peer *p, size_t size)
{
    CHECK(size <= PEER_MESSAGE_LIMIT);
    for (size_t i = 0; i < size; i++)
        peer_message[i] = (uint8_t)((i + 1) * 2654435761u >> 16);
    CHECK_EQUAL(grpc_offer(&p->stream, peer_message, size), 0);
}

void peer_check_body(const struct peer *p, size_t size)
{
    CHECK_EQUAL(p->body_size, 5 + size);
    CHECK_EQUAL(p->body[0], 0);
    CHECK_EQUAL((size_t)p->body[1] << 24 | (size_t)p->body[2] << 16 | (size_t)p->body[3] << 8 | p->body[4],
                size);
    CHECK(memcmp(p->body + 5, peer_message, size) == 0);
}

void peer_check_status(const struct peer *p, int status, const char *text)
{
    char actual[512];
    CHECK_EQUAL(grpc_status(&p->stream, actual, sizeof actual), status);
    if (strcmp(actual, text) == 0)
        return;
    fprintf(stderr, "the message is \"%s\", not \"%s\"\n", actual, text);
    exit(1);
}

struct peer *peer_open(void)
{
    struct peer *p = &the_peer;
    int pair[2];
    struct peer_frame frame;
    p->sent_size = p->sent_at = p->body_size = p->message_count = p->messages_size = 0;
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    p->client_fd = pair[0];
    p->fd = pair[1];
    CHECK_EQUAL(grpc_open(&p->stream, p->client_fd, "/p.S/M", "localhost", "secret", on_message, p), 0);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(p->sent_size > 24);
    CHECK(memcmp(p->sent, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) == 0);
    p->sent_at = 24;
    CHECK(peer_next(p, &frame) && frame.type == 4);
    CHECK(peer_next(p, &frame) && frame.type == 1);
    CHECK_EQUAL(p->sent_at, p->sent_size);
    return p;
}

struct peer *peer_greeted(void)
{
    struct peer *p = peer_open();
    struct peer_frame frame;
    peer_put(p, 4, 0, 0, NULL, 0);
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    CHECK(peer_next(p, &frame) && frame.type == 4 && frame.flags == 1 && frame.size == 0);
    return p;
}

struct peer *peer_responded(void)
{
    struct peer *p = peer_greeted();
    peer_put(p, 1, 4, 1, BYTES("\x88")); /* :status 200 */
    CHECK_EQUAL(peer_pump(p), GRPC_WANT_READ);
    return p;
}

void peer_close(struct peer *p)
{
    close(p->client_fd);
    close(p->fd);
}
