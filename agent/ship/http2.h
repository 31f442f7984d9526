/*
 * The client's end of an HTTP/2 connection that carries one stream (RFC 9113), on a connected socket.
 *
 * - Never blocks, allocates nothing, and calls nothing but system calls and memory functions.
 * - What arrives is taken frame by frame (http2.c); replies to SETTINGS and PING and window updates wait in
 *   a small queue. What is sent is the queue and the body, as far as the windows allow (http2_send.c).
 * - The body is one message at a time, sent from the caller's memory without a copy.
 * - A peer that breaks the protocol ends the connection with -EPROTO: with one stream there is nothing to
 *   save by telling a stream error from a connection error. No GOAWAY is sent; closing says the same.
 */
#ifndef CALLTRACE_SHIP_HTTP2_H
#define CALLTRACE_SHIP_HTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP2_STREAM 1u            /* the first a client may open, and the only one */
#define HTTP2_FRAME_LIMIT 16384u   /* largest payload, unless a side says that it takes more; we do not */
#define HTTP2_WINDOW 65535u        /* what the peer may send ahead of our window updates: the default */
#define HTTP2_WINDOW_MAX INT32_MAX /* no window may grow beyond this (RFC 9113, 6.9.1) */

enum http2_type {
    HTTP2_DATA = 0,
    HTTP2_HEADERS = 1,
    HTTP2_PRIORITY = 2,
    HTTP2_RST_STREAM = 3,
    HTTP2_SETTINGS = 4,
    HTTP2_PUSH_PROMISE = 5,
    HTTP2_PING = 6,
    HTTP2_GOAWAY = 7,
    HTTP2_WINDOW_UPDATE = 8,
    HTTP2_CONTINUATION = 9,
};

enum http2_flag {
    HTTP2_ACK = 0x1,        /* SETTINGS, PING */
    HTTP2_END_STREAM = 0x1, /* DATA, HEADERS */
    HTTP2_END_HEADERS = 0x4,
    HTTP2_PADDED = 0x8,
    HTTP2_HAS_PRIORITY = 0x20,
};

enum http2_setting {
    HTTP2_HEADER_TABLE_SIZE = 1,
    HTTP2_ENABLE_PUSH = 2,
    HTTP2_INITIAL_WINDOW_SIZE = 4,
    HTTP2_MAX_FRAME_SIZE = 5,
    HTTP2_MAX_HEADER_LIST_SIZE = 6,
};

enum {
    HTTP2_HEADER_SIZE = 9,      /* of a frame */
    HTTP2_PREFIX_SIZE = 5,      /* of a message: what gRPC puts before it */
    HTTP2_IN_SIZE = 64 * 1024,  /* received and not yet taken: always room for a whole frame */
    HTTP2_BLOCK_SIZE = 16384,   /* a header block, of one frame or several */
    HTTP2_REQUEST_LIMIT = 4096, /* the request's header block */
    HTTP2_CONTROL_SIZE = 8192,  /* control frames to send; the request's headers must fit, too */
};

/* Returned by the callbacks and by http2_receive() beside 0 and -errno: the stream is over. */
enum { HTTP2_OVER = 1 };

/* What the stream's user does with what arrives. Each returns 0, HTTP2_OVER or -errno. */
struct http2_events {
    int (*on_headers)(void *context, const uint8_t *block, size_t size, bool end);
    int (*on_data)(void *context, const uint8_t *bytes, size_t size, bool end);
    int (*on_reset)(void *context, uint32_t code); /* RST_STREAM */
};

/* Where sending stands. Small, so that what to send is planned on a copy and replayed for what was sent. */
struct http2_output {
    int64_t connection_window;
    int64_t stream_window; /* negative when the peer shrank it after we had used it */
    size_t body_at;        /* bytes of the prefix and the message that were sent */
    uint32_t control_at;   /* bytes of the control queue that were sent */
    uint32_t payload_left; /* of the DATA frame that was begun */
    uint8_t header_left;   /* of that frame's header */
    uint8_t header[HTTP2_HEADER_SIZE];
    bool finished; /* END_STREAM was put into a frame */
};

struct http2 {
    int fd;
    int send_error; /* 0, or the -errno that sending ended with; receiving may go on */
    const struct http2_events *events;
    void *context;

    struct http2_output out;
    const uint8_t *message; /* the caller's */
    size_t body_size;       /* the message and its prefix */
    uint8_t prefix[HTTP2_PREFIX_SIZE];
    bool finishing;    /* END_STREAM is to follow the body */
    bool message_sent; /* set when a body is complete; cleared by the user */

    uint32_t peer_initial_window;
    uint32_t peer_frame_limit;
    bool greeted;    /* the peer's first frame, which must be SETTINGS, has come */
    bool going_away; /* GOAWAY has come, and our stream may still finish */

    uint32_t uncredited; /* received, and not yet given back to the windows of connection and stream */
    bool block_open;     /* CONTINUATION must be next */
    bool block_ends_stream;
    size_t block_size;
    size_t in_size;
    uint32_t control_end; /* bytes in the control queue */

    uint8_t control[HTTP2_CONTROL_SIZE];
    uint8_t block[HTTP2_BLOCK_SIZE];
    uint8_t in[HTTP2_IN_SIZE];
};

/* Starts a connection on `fd` and queues the preface, SETTINGS, and HEADERS with the `block`, of at most
 * HTTP2_REQUEST_LIMIT bytes. */
void http2_open(struct http2 *c, int fd, const struct http2_events *events, void *context,
                const uint8_t *block, size_t size);

/* Takes what has arrived, up to a limit that keeps the call short. Returns 0, HTTP2_OVER or -errno. */
int http2_receive(struct http2 *c);

/* Sends as much as windows and socket allow. Returns 0, 1 when the socket is full, or -errno. */
int http2_send(struct http2 *c);

/* True while there is a body that is not sent completely. */
static inline bool http2_sending(const struct http2 *c)
{
    return c->out.body_at < c->body_size;
}

/* Makes the next body, when the previous one is sent. `message` must stay valid while http2_sending(). */
void http2_offer(struct http2 *c, const uint8_t prefix[HTTP2_PREFIX_SIZE], const void *message, size_t size);

/* Numbers in frames are big-endian. */
static inline uint32_t http2_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void http2_put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void http2_put_header(uint8_t *at, uint32_t size, uint8_t type, uint8_t flags, uint32_t stream)
{
    at[0] = (uint8_t)(size >> 16);
    at[1] = (uint8_t)(size >> 8);
    at[2] = (uint8_t)size;
    at[3] = type;
    at[4] = flags;
    http2_put32(at + 5, stream);
}

/* Queues a control frame; sends what is queued when there is no room. Returns 0, or -EPROTO when the peer
 * makes us reply and does not read. */
int http2_queue(struct http2 *c, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                uint32_t size);

#endif
