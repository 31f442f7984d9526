/*
 * One bidirectional gRPC call over a connected stream socket, for a thread that libc does not know.
 *
 * - Nothing here blocks: the caller polls the socket for what grpc_pump() asks for, and pumps again.
 * - Everything is inside the struct (about 170 KiB: put it in static or mapped memory, not on a stack).
 * - One message is sent at a time, from the caller's memory, uncompressed; the messages that arrive are
 *   handed over one by one.
 * - A call is over when its status is known; a connection is dead when grpc_pump() returns -errno. Close
 *   the socket then, which is the caller's, and open anew: the struct may be used again.
 */
#ifndef CALLTRACE_SHIP_GRPC_H
#define CALLTRACE_SHIP_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/hpack.h"
#include "agent/ship/http2.h"

#define GRPC_SEND_LIMIT (4u << 20)     /* largest message to send: what a gRPC server takes by default */
#define GRPC_RECEIVE_LIMIT (64u << 10) /* largest message to receive */

/* Bits that grpc_pump() returns. */
enum grpc_event {
    GRPC_WANT_READ = 1,  /* poll for POLLIN */
    GRPC_WANT_WRITE = 2, /* the socket is full: poll for POLLOUT, too */
    GRPC_SENT = 4,       /* since the last pump, a message was sent; its memory is free */
    GRPC_GOING_AWAY = 8, /* the server is shutting down: finish, take what still comes, connect anew */
    GRPC_ENDED = 16,     /* the call is over: see grpc_status() */
};

/* Takes a message that arrived; its bytes are valid during the call. May call grpc_offer() and
 * grpc_finish(), but not grpc_pump() or grpc_open(). */
typedef void (*grpc_message_fn)(void *context, const void *message, size_t size);

struct grpc_stream {
    grpc_message_fn on_message;
    void *context;
    int error;           /* 0, or the -errno that the connection died of */
    int status;          /* -1 until known */
    bool responded;      /* the response's headers have come */
    uint32_t messages;   /* that were received */
    size_t inbound_size; /* of the message that is arriving, with its prefix */
    char status_message[512];
    struct http2 http2;
    uint8_t scratch[HPACK_LIST_LIMIT];
    uint8_t inbound[HTTP2_PREFIX_SIZE + GRPC_RECEIVE_LIMIT];
};

/*
 * Starts the call of `path` ("/package.Service/Method") on `fd`, a connected stream socket. Sends nothing
 * yet. `token` is sent as "authorization: Bearer TOKEN" unless NULL. Returns 0, -EINVAL (anything but
 * visible ASCII and spaces in an argument) or -EMSGSIZE (arguments of more than 4 KiB together).
 */
int grpc_open(struct grpc_stream *s, int fd, const char *path, const char *authority, const char *token,
              grpc_message_fn on_message, void *context);

/*
 * Begins to send one message, whose memory must stay as it is until it is sent or the socket is closed.
 * Returns 0; -EBUSY while the previous one is being sent; -EMSGSIZE above GRPC_SEND_LIMIT; -EPIPE when
 * the call is over or grpc_finish() was called; or what the connection died of.
 */
int grpc_offer(struct grpc_stream *s, const void *message, size_t size);

/* True while a message is offered and not sent completely. */
bool grpc_sending(const struct grpc_stream *s);

/*
 * Receives and sends what is possible now, and calls on_message for what has arrived. Returns bits of
 * enum grpc_event, or -errno when the connection is dead: what the socket said, -ECONNRESET when the
 * peer closed it, -ECONNREFUSED when the peer is going away and did not look at the call, -EPROTO when it
 * broke a protocol, -EMSGSIZE for a message above GRPC_RECEIVE_LIMIT.
 */
int grpc_pump(struct grpc_stream *s);

/* Half-closes the call, after what was offered. Returns 0, or what the connection died of. */
int grpc_finish(struct grpc_stream *s);

/*
 * Returns -1 until the call is over, then its gRPC status: 0 for success, up to 16. Writes the server's
 * message, or ours, printable and NUL-terminated, to `message` of `size` bytes, unless `size` is 0.
 */
int grpc_status(const struct grpc_stream *s, char *message, size_t size);

#endif
