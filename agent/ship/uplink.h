/*
 * The uplink: the stream to the collector, from connecting to the last acknowledgement.
 *
 * Nothing here waits. Without a connection it tries again every so often, and sends again from wherever
 * the collector says it stopped. When the collector refuses the stream for good, the uplink leaves a line for
 * the user, and the program's threads do not wait for room any more.
 */
#ifndef CALLTRACE_SHIP_UPLINK_H
#define CALLTRACE_SHIP_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/grpc.h"
#include "agent/ship/outbox.h"

struct plans;

struct uplink {
    struct outbox *outbox;
    struct plans *plans; /* NULL: nothing is captured, whatever the collector says */
    const char *socket_path;
    const uint8_t *process; /* first message of every stream */
    size_t process_bytes;
    int fd; /* -1: not connected */
    bool welcomed;
    bool message_offered; /* the outbox's next message is on its way */
    bool half_closed;     /* nothing more is to be sent, on this connection or another */
    bool refused;         /* for good: there will be no other connection */
    bool lost;            /* there was a connection, and is none that the collector has answered on */
    bool wants_write;
    uint64_t acknowledged;
    uint64_t retry_at_ns; /* when to connect next */
    uint64_t retry_after_ns;
    uint64_t last_progress_ns;
    struct grpc_stream stream;
};

/* Connects. Returns 0, or -errno of the socket. */
int uplink_open(struct uplink *uplink, struct outbox *outbox, const char *socket_path, const uint8_t *process,
                size_t process_bytes);

/* Receives and sends what is possible now; connects again when it is time to. Returns whether anything
 * moved. */
bool uplink_pump(struct uplink *uplink, uint64_t now_ns);

/* Says that nothing follows what has been sent. */
void uplink_half_close(struct uplink *uplink);

/* Waits until the socket is ready for what the uplink wants, or the time is over. */
void uplink_wait(struct uplink *uplink, uint64_t timeout_ns);

#endif
