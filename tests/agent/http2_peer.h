/*
 * The server's end of a socket pair, played frame by frame by a test, and the client under test.
 *
 * Frames are put together by hand, so that what the client sends and takes is compared with the bytes of
 * RFC 9113 and not with another of our encoders.
 */
#ifndef CALLTRACE_TESTS_AGENT_HTTP2_PEER_H
#define CALLTRACE_TESTS_AGENT_HTTP2_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/grpc.h"

/* A literal's bytes and their number, NUL bytes within it included. */
#define BYTES(literal) literal, sizeof(literal) - 1

struct peer_frame {
    uint32_t size;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    const uint8_t *payload;
};

struct peer {
    struct grpc_stream stream; /* the client */
    int client_fd;
    int fd;
    size_t sent_size; /* by the client */
    size_t sent_at;   /* what of it peer_next() has given */
    uint8_t sent[4 << 20];
    size_t body_size; /* of what peer_take_data() took */
    uint8_t body[4 << 20];
    size_t message_count; /* that the client was given */
    size_t messages_size;
    uint8_t messages[2 << 20]; /* one behind the other */
};

/* What peer_offer() offers the beginning of: bytes that differ from place to place. */
#define PEER_MESSAGE_LIMIT (1u << 20)
extern uint8_t peer_message[PEER_MESSAGE_LIMIT];

/* Makes the pair, opens the call and takes what opens a connection. Static: one peer at a time. */
struct peer *peer_open(void);

/* As peer_open(); the server has sent SETTINGS, and the client's acknowledgement is taken. */
struct peer *peer_greeted(void);

/* As peer_greeted(); the server has also sent the response's headers. */
struct peer *peer_responded(void);

void peer_close(struct peer *p);

/* Sends raw bytes, or a frame, to the client. */
void peer_write(struct peer *p, const void *bytes, size_t size);
void peer_put(struct peer *p, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size);

/* Sends a frame that holds one number of 32 bits. */
void peer_put32(struct peer *p, uint8_t type, uint32_t stream, uint32_t value);

/* Sends SETTINGS with one setting. */
void peer_set(struct peer *p, uint16_t setting, uint32_t value);

/* Reads what the client has sent until now. */
void peer_read(struct peer *p);

/* Pumps the client, reading what it sends, until it has nothing more to do. Returns what the last pump
 * returned, and the bits of those before. */
int peer_pump(struct peer *p);

/* Takes the client's next whole frame; false when there is none. */
bool peer_next(struct peer *p, struct peer_frame *frame);

/* Takes all of the client's frames, which must be DATA of ours, and adds what they carry to the body;
 * returns how many bytes that were. */
size_t peer_take_data(struct peer *p, size_t *frames);

/* Has the client send a message of this size, and checks that just this is what peer_take_data() took. */
void peer_offer(struct peer *p, size_t size);
void peer_check_body(const struct peer *p, size_t size);

/* Checks that the call is over with this status and message. */
void peer_check_status(const struct peer *p, int status, const char *text);

#endif
