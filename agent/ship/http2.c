/* Receiving: frames, in the order in which RFC 9113 describes them. See http2.h. */
#include "agent/ship/http2.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/life/sys.h"

/* A call of http2_receive() takes at most this many buffers full: a peer that sends without end must not
 * keep the caller from its other work. */
enum { READS_A_CALL = 16 };

/* Window updates are sent for this many bytes or more: a quarter of the windows. */
enum { CREDIT_LEAST = HTTP2_WINDOW / 4 };

enum {
    PRIORITY_SIZE = 5,
    RST_STREAM_SIZE = 4,
    SETTING_SIZE = 6,
    PING_SIZE = 8,
    GOAWAY_LEAST = 8,
    WINDOW_UPDATE_SIZE = 4,
    FRAME_LIMIT_MOST = 16777215, /* that MAX_FRAME_SIZE may be set to */
};

struct frame {
    uint32_t size;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    const uint8_t *payload;
};

/* Takes the padding off a DATA or HEADERS frame. */
static int strip_padding(struct frame *f)
{
    if (!(f->flags & HTTP2_PADDED))
        return 0;
    if (f->size == 0 || f->payload[0] >= f->size)
        return -EPROTO;
    f->size -= 1u + f->payload[0];
    f->payload++;
    return 0;
}

/*
 * Lets the peer send on, once it has used a good part of its windows. They are not enforced: what arrives
 * is taken at once, into buffers that have an end of their own.
 */
static int give_credit(struct http2 *c, uint32_t used)
{
    uint8_t credit[WINDOW_UPDATE_SIZE];
    c->uncredited += used;
    if (c->uncredited < CREDIT_LEAST)
        return 0;
    http2_put32(credit, c->uncredited);
    c->uncredited = 0;
    int error = http2_queue(c, HTTP2_WINDOW_UPDATE, 0, 0, credit, sizeof credit);
    if (error != 0)
        return error;
    return http2_queue(c, HTTP2_WINDOW_UPDATE, 0, HTTP2_STREAM, credit, sizeof credit);
}

static int take_data(struct http2 *c, struct frame *f)
{
    uint32_t used = f->size; /* padding counts */
    if (strip_padding(f) != 0)
        return -EPROTO;
    int result = c->events->on_data(c->context, f->payload, f->size, (f->flags & HTTP2_END_STREAM) != 0);
    return result != 0 ? result : give_credit(c, used);
}

/* Adds a part of a header block, from HEADERS or CONTINUATION. */
static int take_block(struct http2 *c, const struct frame *f)
{
    if (f->size > HTTP2_BLOCK_SIZE - c->block_size)
        return -EPROTO;
    memcpy(c->block + c->block_size, f->payload, f->size);
    c->block_size += f->size;
    c->block_open = !(f->flags & HTTP2_END_HEADERS);
    if (c->block_open)
        return 0;
    return c->events->on_headers(c->context, c->block, c->block_size, c->block_ends_stream);
}

static int take_headers(struct http2 *c, struct frame *f)
{
    if (strip_padding(f) != 0)
        return -EPROTO;
    if (f->flags & HTTP2_HAS_PRIORITY) {
        if (f->size < PRIORITY_SIZE)
            return -EPROTO;
        f->payload += PRIORITY_SIZE;
        f->size -= PRIORITY_SIZE;
    }
    c->block_size = 0;
    c->block_ends_stream = (f->flags & HTTP2_END_STREAM) != 0;
    return take_block(c, f);
}

static int take_reset(struct http2 *c, const struct frame *f)
{
    if (f->size != RST_STREAM_SIZE)
        return -EPROTO;
    return c->events->on_reset(c->context, http2_get32(f->payload));
}

/* The stream's window moves by the difference, below 0 even (RFC 9113, 6.9.2). */
static int set_initial_window(struct http2 *c, uint32_t value)
{
    if (value > HTTP2_WINDOW_MAX)
        return -EPROTO;
    int64_t window = c->out.stream_window + (int64_t)value - (int64_t)c->peer_initial_window;
    if (window > HTTP2_WINDOW_MAX)
        return -EPROTO;
    c->out.stream_window = window;
    c->peer_initial_window = value;
    return 0;
}

static int take_setting(struct http2 *c, uint16_t setting, uint32_t value)
{
    switch (setting) {
    case HTTP2_INITIAL_WINDOW_SIZE:
        return set_initial_window(c, value);
    case HTTP2_MAX_FRAME_SIZE:
        if (value < HTTP2_FRAME_LIMIT || value > FRAME_LIMIT_MOST)
            return -EPROTO;
        c->peer_frame_limit = value;
        return 0;
    case HTTP2_ENABLE_PUSH:
        return value == 0 ? 0 : -EPROTO; /* a server's must be 0 (6.5.2) */
    default:
        /* HEADER_TABLE_SIZE among them: we never use the peer's table. */
        return 0;
    }
}

static int take_settings(struct http2 *c, const struct frame *f)
{
    if (f->flags & HTTP2_ACK)
        return f->size == 0 ? 0 : -EPROTO;
    if (f->size % SETTING_SIZE != 0)
        return -EPROTO;
    for (uint32_t at = 0; at < f->size; at += SETTING_SIZE) {
        uint16_t setting = (uint16_t)(f->payload[at] << 8 | f->payload[at + 1]);
        int error = take_setting(c, setting, http2_get32(f->payload + at + 2));
        if (error != 0)
            return error;
    }
    return http2_queue(c, HTTP2_SETTINGS, HTTP2_ACK, 0, NULL, 0);
}

static int take_ping(struct http2 *c, const struct frame *f)
{
    if (f->size != PING_SIZE)
        return -EPROTO;
    return f->flags & HTTP2_ACK ? 0 : http2_queue(c, HTTP2_PING, HTTP2_ACK, 0, f->payload, PING_SIZE);
}

static int take_goaway(struct http2 *c, const struct frame *f)
{
    if (f->size < GOAWAY_LEAST)
        return -EPROTO;
    if ((http2_get32(f->payload) & INT32_MAX) < HTTP2_STREAM)
        return -ECONNREFUSED; /* our stream was not looked at, and never will be */
    c->going_away = true;
    return 0;
}

static int take_window_update(struct http2 *c, const struct frame *f)
{
    if (f->size != WINDOW_UPDATE_SIZE)
        return -EPROTO;
    int64_t *window = f->stream == 0 ? &c->out.connection_window : &c->out.stream_window;
    uint32_t increment = http2_get32(f->payload) & INT32_MAX;
    if (increment == 0 || *window + increment > HTTP2_WINDOW_MAX)
        return -EPROTO;
    *window += increment;
    return 0;
}

/* Whether a frame of this type may come on this stream. Any but ours is idle, or a push we refused. */
static bool is_on_its_stream(const struct frame *f)
{
    switch (f->type) {
    case HTTP2_DATA:
    case HTTP2_HEADERS:
    case HTTP2_RST_STREAM:
    case HTTP2_CONTINUATION:
        return f->stream == HTTP2_STREAM;
    case HTTP2_SETTINGS:
    case HTTP2_PING:
    case HTTP2_GOAWAY:
        return f->stream == 0;
    case HTTP2_WINDOW_UPDATE:
        return f->stream == 0 || f->stream == HTTP2_STREAM;
    case HTTP2_PRIORITY:
        return f->stream != 0;
    default:
        return true;
    }
}

/* What holds for every frame: SETTINGS comes first, and nothing comes between the parts of a block. */
static bool is_in_order(const struct http2 *c, const struct frame *f)
{
    if (!c->greeted)
        return f->type == HTTP2_SETTINGS && !(f->flags & HTTP2_ACK);
    return c->block_open == (f->type == HTTP2_CONTINUATION);
}

static int take_frame(struct http2 *c, struct frame *f)
{
    if (!is_in_order(c, f) || !is_on_its_stream(f))
        return -EPROTO;
    c->greeted = true;
    switch (f->type) {
    case HTTP2_DATA:
        return take_data(c, f);
    case HTTP2_HEADERS:
        return take_headers(c, f);
    case HTTP2_PRIORITY:
        return f->size == PRIORITY_SIZE ? 0 : -EPROTO;
    case HTTP2_RST_STREAM:
        return take_reset(c, f);
    case HTTP2_SETTINGS:
        return take_settings(c, f);
    case HTTP2_PUSH_PROMISE:
        return -EPROTO; /* we announced that we take none */
    case HTTP2_PING:
        return take_ping(c, f);
    case HTTP2_GOAWAY:
        return take_goaway(c, f);
    case HTTP2_WINDOW_UPDATE:
        return take_window_update(c, f);
    case HTTP2_CONTINUATION:
        return take_block(c, f);
    default:
        return 0; /* an extension: ignored (5.5) */
    }
}

/* Takes all whole frames that were received and keeps the rest. */
static int take_frames(struct http2 *c)
{
    size_t at = 0;
    int result = 0;
    while (result == 0 && c->in_size - at >= HTTP2_HEADER_SIZE) {
        const uint8_t *header = c->in + at;
        struct frame f = {
            .size = http2_get32(header) >> 8,
            .type = header[3],
            .flags = header[4],
            .stream = http2_get32(header + 5) & INT32_MAX,
            .payload = header + HTTP2_HEADER_SIZE,
        };
        if (f.size > HTTP2_FRAME_LIMIT)
            return -EPROTO;
        if (c->in_size - at - HTTP2_HEADER_SIZE < f.size)
            break;
        at += HTTP2_HEADER_SIZE + f.size;
        result = take_frame(c, &f);
    }
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
    return result;
}

int http2_receive(struct http2 *c)
{
    for (int reads = 0; reads < READS_A_CALL; reads++) {
        long got = sys_recv(c->fd, c->in + c->in_size, sizeof c->in - c->in_size, MSG_DONTWAIT);
        if (got == -EINTR)
            continue;
        if (got == -EAGAIN)
            return 0;
        if (got <= 0)
            return got == 0 ? -ECONNRESET : (int)got;
        c->in_size += (size_t)got;
        int result = take_frames(c);
        if (result != 0)
            return result;
    }
    return 0;
}
