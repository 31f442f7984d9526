#include "agent/ship/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "agent/life/agent.h"
#include "agent/life/complaint.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/record/clock.h"
#include "agent/ship/grpc_status.h"
#include "agent/ship/messages.h"
#include "agent/ship/plans.h"

#define SERVICE_PATH "/calltrace.v1.IngestService/Trace"
#define FIRST_RETRY_NS 20000000ull
#define LAST_RETRY_NS 1000000000ull
#define SEND_BUFFER_BYTES (1 << 20)
#define KERNEL_SIGSET_BYTES 8
#define ROUNDS 8

static void disconnect(struct uplink *u, uint64_t now_ns)
{
    u->lost |= u->fd >= 0;
    if (u->fd >= 0)
        sys_close(u->fd);
    u->fd = -1;
    u->welcomed = false;
    u->message_offered = false;
    u->wants_write = false;
    u->retry_at_ns = u->half_closed || u->refused ? UINT64_MAX : now_ns + u->retry_after_ns;
    u->retry_after_ns = u->retry_after_ns * 2 < LAST_RETRY_NS ? u->retry_after_ns * 2 : LAST_RETRY_NS;
}

/* The collector will not have the rest: the program goes on without. */
static void give_up(struct uplink *u, const char *why)
{
    char line[AGENT_MESSAGE_BYTES];
    struct text t = text_in(line, sizeof line);
    text_add(&t, why);
    text_add(&t, ": not all of this program's calls are recorded");
    complaint_leave(line);
    u->refused = true;
    __atomic_store_n(&agent.config.drops, true, __ATOMIC_RELAXED);
}

/* The call has ended. */
static void take_status(struct uplink *u)
{
    char why[AGENT_MESSAGE_BYTES / 2];
    char line[AGENT_MESSAGE_BYTES];
    if (!grpc_status_is_final(grpc_status(&u->stream, why, sizeof why)))
        return;
    struct text t = text_in(line, sizeof line);
    text_add(&t, "the collector refused the trace: ");
    text_add(&t, why);
    give_up(u, line);
}

static int on_welcome(struct uplink *u, uint64_t next_sequence)
{
    if (u->welcomed)
        return -EPROTO;
    int status = outbox_rewind(u->outbox, next_sequence);
    u->welcomed = status == 0;
    u->lost &= !u->welcomed;
    if (status == -ERANGE)
        give_up(u, "the collector no longer has what it had stored of this program (another database?)");
    return status;
}

static void on_message(void *context, const void *bytes, size_t size)
{
    struct uplink *u = context;
    struct collector_message message;
    u->last_progress_ns = clock_monotonic_ns();
    int status = message_read(bytes, size, &message);
    if (status == 0 && message.welcome_next_sequence != 0)
        status = on_welcome(u, message.welcome_next_sequence);
    /* A collector cannot have committed what was never written. */
    if (message.ack_sequence >= u->outbox->next_sequence)
        status = -EPROTO;
    if (status == 0 && message.ack_sequence > u->acknowledged) {
        u->acknowledged = message.ack_sequence;
        outbox_acknowledge(u->outbox, message.ack_sequence);
    }
    if (status == 0 && message.capture_plan != NULL && u->plans != NULL)
        status = plans_take(u->plans, message.capture_plan, message.capture_plan_bytes);
    if (status < 0)
        sys_call3(SYS_shutdown, u->fd, SHUT_RDWR, 0); /* the pump finds it closed */
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int fd = (int)sys_call3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    int size = SEND_BUFFER_BYTES;
    sys_call6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, (long)&size, sizeof size, 0);
    int status = (int)sys_call3(SYS_connect, fd, (long)&address, sizeof address);
    if (status == 0)
        return fd;
    sys_close(fd);
    return status;
}

static int start_stream(struct uplink *u, uint64_t now_ns)
{
    u->fd = connect_socket(u->socket_path);
    if (u->fd < 0) {
        int status = u->fd;
        disconnect(u, now_ns);
        return status;
    }
    u->last_progress_ns = now_ns;
    int status = grpc_open(&u->stream, u->fd, SERVICE_PATH, "localhost", NULL, on_message, u);
    if (status == 0)
        status = grpc_offer(&u->stream, u->process, u->process_bytes);
    if (status < 0)
        disconnect(u, now_ns);
    return status;
}

int uplink_open(struct uplink *u, struct outbox *outbox, const char *socket_path, const uint8_t *process,
                size_t process_bytes)
{
    u->outbox = outbox;
    u->socket_path = socket_path;
    u->process = process;
    u->process_bytes = process_bytes;
    u->fd = -1;
    u->retry_after_ns = FIRST_RETRY_NS;
    return start_stream(u, clock_monotonic_ns());
}

/* Offers the outbox's next message, if its turn has come. */
static int offer_next(struct uplink *u)
{
    if (!u->welcomed || u->half_closed || grpc_sending(&u->stream))
        return 0;
    if (u->message_offered)
        outbox_sent(u->outbox);
    struct outbox_message message;
    u->message_offered = outbox_peek(u->outbox, &message);
    return u->message_offered ? grpc_offer(&u->stream, message.bytes, message.size) : 0;
}

/* One round; returns grpc_pump's bits or -errno. */
static int pump_once(struct uplink *u)
{
    int status = offer_next(u);
    if (status < 0)
        return status;
    int events = grpc_pump(&u->stream);
    if (events < 0)
        return events;
    if ((events & GRPC_ENDED) != 0) {
        take_status(u);
        return -ECONNRESET;
    }
    return events;
}

bool uplink_pump(struct uplink *u, uint64_t now_ns)
{
    bool moved = false;
    if (u->fd < 0 && (now_ns < u->retry_at_ns || start_stream(u, now_ns) < 0))
        return false;
    /* Not for ever: meanwhile the rings fill. */
    for (int round = 0; round < ROUNDS; round++) {
        bool was_welcomed = u->welcomed;
        int events = pump_once(u);
        if (events < 0) {
            disconnect(u, now_ns);
            return moved;
        }
        u->wants_write = (events & GRPC_WANT_WRITE) != 0;
        if (u->welcomed && !was_welcomed)
            u->retry_after_ns = FIRST_RETRY_NS;
        else if ((events & GRPC_SENT) == 0)
            return moved;
        moved = true;
    }
    return moved;
}

void uplink_half_close(struct uplink *u)
{
    if (u->fd >= 0 && u->welcomed && !u->half_closed) {
        if (u->message_offered && !grpc_sending(&u->stream)) {
            outbox_sent(u->outbox);
            u->message_offered = false;
        }
        u->half_closed = true;
        grpc_finish(&u->stream);
    }
}

void uplink_wait(struct uplink *u, uint64_t timeout_ns)
{
    struct pollfd poll = {.fd = u->fd, .events = (short)(POLLIN | (u->wants_write ? POLLOUT : 0))};
    struct timespec limit = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    sys_call6(SYS_ppoll, (long)&poll, u->fd >= 0, (long)&limit, 0, KERNEL_SIGSET_BYTES, 0);
}
