/*
 * Sending: the opening, the control queue and the body, as frames.
 *
 * One function, next_piece(), says what bytes come next and moves on past them. It is called twice: on a
 * copy of the state to plan one sendmsg() of many pieces, then on the state itself for exactly the bytes
 * that the socket took. So a send cut short anywhere, within a frame's header even, needs no case of its
 * own.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/life/sys.h"
#include "agent/ship/hpack.h"
#include "agent/ship/http2.h"

enum {
    PIECES = 48, /* a sendmsg(): about 20 frames */
    SETTING_SIZE = 6,
};

static uint32_t smaller(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Begins the next frame of the body, if there is something to send and the windows allow it. */
static bool begin_frame(const struct http2 *c, struct http2_output *o)
{
    int64_t window = o->stream_window < o->connection_window ? o->stream_window : o->connection_window;
    if (o->body_at < c->body_size) {
        if (window <= 0)
            return false;
        uint32_t size = smaller(c->body_size - o->body_at, smaller((uint64_t)window, c->peer_frame_limit));
        http2_put_header(o->header, size, HTTP2_DATA, 0, HTTP2_STREAM);
        o->payload_left = size;
        o->stream_window -= size;
        o->connection_window -= size;
    } else if (c->finishing && !o->finished) {
        http2_put_header(o->header, 0, HTTP2_DATA, HTTP2_END_STREAM, HTTP2_STREAM);
        o->finished = true;
    } else {
        return false;
    }
    o->header_left = HTTP2_HEADER_SIZE;
    return true;
}

/*
 * Takes the next piece of the output, at most `limit` bytes of it; its size is 0 when nothing can be sent.
 * Control frames go before every frame that was not begun. A frame's header is copied to `header`, for
 * `o` will hold another one by the time that it is sent.
 */
static struct iovec next_piece(const struct http2 *c, struct http2_output *o,
                               uint8_t header[HTTP2_HEADER_SIZE], size_t limit)
{
    bool in_frame = o->header_left > 0 || o->payload_left > 0;
    if (!in_frame && o->control_at < c->control_end) {
        uint32_t size = smaller(c->control_end - o->control_at, limit);
        const uint8_t *start = c->control + o->control_at;
        o->control_at += size;
        return (struct iovec){(void *)start, size};
    }
    if (!in_frame && !begin_frame(c, o))
        return (struct iovec){NULL, 0};

    if (o->header_left > 0) {
        uint32_t size = smaller(o->header_left, limit);
        memcpy(header, o->header + (HTTP2_HEADER_SIZE - o->header_left), size);
        o->header_left -= (uint8_t)size;
        return (struct iovec){header, size};
    }
    const uint8_t *start;
    uint32_t size = smaller(o->payload_left, limit);
    if (o->body_at < HTTP2_PREFIX_SIZE) {
        start = c->prefix + o->body_at;
        size = smaller(size, HTTP2_PREFIX_SIZE - o->body_at);
    } else {
        start = c->message + (o->body_at - HTTP2_PREFIX_SIZE);
    }
    o->payload_left -= size;
    o->body_at += size;
    return (struct iovec){(void *)start, size};
}

/* Moves the state past the bytes that were sent. */
static void commit(struct http2 *c, size_t sent)
{
    uint8_t header[HTTP2_HEADER_SIZE];
    bool sending = http2_sending(c);
    while (sent > 0)
        sent -= next_piece(c, &c->out, header, sent).iov_len;
    if (sending && !http2_sending(c))
        c->message_sent = true;
    if (c->out.control_at == c->control_end)
        c->out.control_at = c->control_end = 0;
}

int http2_send(struct http2 *c)
{
    if (c->send_error != 0)
        return c->send_error;
    for (;;) {
        struct iovec pieces[PIECES];
        uint8_t headers[PIECES][HTTP2_HEADER_SIZE];
        struct http2_output plan = c->out;
        size_t count = 0;
        while (count < PIECES) {
            pieces[count] = next_piece(c, &plan, headers[count], SIZE_MAX);
            if (pieces[count].iov_len == 0)
                break;
            count++;
        }
        if (count == 0)
            return 0;
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        long sent = sys_sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == -EINTR)
            continue;
        if (sent == -EAGAIN)
            return 1;
        if (sent < 0) {
            c->send_error = (int)sent;
            return c->send_error;
        }
        commit(c, (size_t)sent);
    }
}

void http2_offer(struct http2 *c, const uint8_t prefix[HTTP2_PREFIX_SIZE], const void *message, size_t size)
{
    memcpy(c->prefix, prefix, HTTP2_PREFIX_SIZE);
    c->message = message;
    c->body_size = HTTP2_PREFIX_SIZE + size;
    c->out.body_at = 0;
}

/* Makes room for `size` bytes at the end of the control queue. */
static bool make_room(struct http2 *c, size_t size)
{
    if (HTTP2_CONTROL_SIZE - c->control_end >= size)
        return true;
    http2_send(c); /* its error is kept and will be seen */
    memmove(c->control, c->control + c->out.control_at, c->control_end - c->out.control_at);
    c->control_end -= c->out.control_at;
    c->out.control_at = 0;
    return HTTP2_CONTROL_SIZE - c->control_end >= size;
}

int http2_queue(struct http2 *c, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                uint32_t size)
{
    if (!make_room(c, HTTP2_HEADER_SIZE + size))
        /* Nobody takes replies on a connection that only receives any more; what it holds still counts. */
        return c->send_error != 0 ? 0 : -EPROTO;
    http2_put_header(c->control + c->control_end, size, type, flags, stream);
    if (size > 0)
        memcpy(c->control + c->control_end + HTTP2_HEADER_SIZE, payload, size);
    c->control_end += HTTP2_HEADER_SIZE + size;
    return 0;
}

static void put_setting(uint8_t *at, uint16_t setting, uint32_t value)
{
    at[0] = (uint8_t)(setting >> 8);
    at[1] = (uint8_t)setting;
    http2_put32(at + 2, value);
}

void http2_open(struct http2 *c, int fd, const struct http2_events *events, void *context,
                const uint8_t *block, size_t size)
{
    static const char PREFACE[24] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t settings[3 * SETTING_SIZE];
    _Static_assert(sizeof PREFACE + sizeof settings + HTTP2_REQUEST_LIMIT + 2 * HTTP2_HEADER_SIZE <=
                       HTTP2_CONTROL_SIZE,
                   "what opens a connection fits the control queue");

    memset(c, 0, offsetof(struct http2, control)); /* the buffers need no zeros */
    c->fd = fd;
    c->events = events;
    c->context = context;
    c->out.connection_window = c->out.stream_window = c->peer_initial_window = HTTP2_WINDOW;
    c->peer_frame_limit = HTTP2_FRAME_LIMIT;

    memcpy(c->control, PREFACE, sizeof PREFACE);
    c->control_end = sizeof PREFACE;
    put_setting(settings, HTTP2_HEADER_TABLE_SIZE, 0);
    put_setting(settings + SETTING_SIZE, HTTP2_ENABLE_PUSH, 0);
    put_setting(settings + 2 * SETTING_SIZE, HTTP2_MAX_HEADER_LIST_SIZE, HPACK_LIST_LIMIT);
    http2_queue(c, HTTP2_SETTINGS, 0, 0, settings, sizeof settings);
    http2_queue(c, HTTP2_HEADERS, HTTP2_END_HEADERS, HTTP2_STREAM, block, (uint32_t)size);
}
