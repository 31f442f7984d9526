/*
 * Makes one call with the agent's gRPC client, for a test that plays the server.
 *
 *   grpc_driver ADDRESS PATH TOKEN COUNT SIZE SEED
 *
 * ADDRESS is a unix socket's path, or 127.0.0.1:PORT; TOKEN may be empty. Sends COUNT messages of SIZE bytes,
 * or of random sizes up to SIZE if SEED is not 0, then half-closes and takes what comes until the call or
 * the connection is over. Every message that comes must begin with its number and the CRC-32 of all that
 * was sent up to the message of that number, both big-endian.
 *
 * Prints a line of JSON: what grpc_pump() returned at last (error: 0 or -errno), the call's status and
 * message, how many messages were sent, how many came and how many of them were wrong, whether the server
 * was going away, and how long the call took. Exit status 2 for a wrong command line, 3 when nothing happened
 * for 20 seconds.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "agent/ship/grpc.h"

enum { MESSAGES_MAX = 100000, SIZE_MOST = 1 << 20, PATIENCE_MS = 20000 };

struct call {
    uint32_t count;
    uint32_t size;
    uint64_t random; /* state; 0: sizes do not vary */
    uint32_t offered;
    uint32_t sent;
    uint32_t received;
    uint32_t wrong;
    uint32_t window_stalls;
    uint32_t crc;
    uint32_t crc_after[MESSAGES_MAX];
};

static struct grpc_stream stream;
static struct call call;
static uint8_t bytes[2 * SIZE_MOST]; /* messages are parts of it */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint32_t crc32(uint32_t crc, const uint8_t *at, size_t size)
{
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        table[i] = value;
    }
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ at[i]) & 0xff];
    return ~crc;
}

static void on_message(void *context, const void *message, size_t size)
{
    struct call *c = context;
    uint32_t number = size >= 8 ? http2_get32(message) : UINT32_MAX;
    if (number != c->received || number >= c->offered ||
        http2_get32((const uint8_t *)message + 4) != c->crc_after[number])
        c->wrong++;
    c->received++;
}

static void offer_next(struct call *c)
{
    uint32_t size = c->size;
    const uint8_t *start = bytes;
    if (c->random != 0) {
        /* As many small ones as large ones, and some without any bytes. */
        size = (uint32_t)(next_random(&c->random) % (size + 1));
        size = next_random(&c->random) % 2 ? size : size % 17;
        start += next_random(&c->random) % SIZE_MOST;
        c->crc = crc32(c->crc, start, size);
    }
    c->crc_after[c->offered++] = c->crc;
    if (grpc_offer(&stream, start, size) != 0)
        abort();
}

/* Makes the call; returns what the last pump did. */
static int run(struct call *c, int fd, bool *going_away)
{
    for (;;) {
        bool all_sent = c->sent == c->count || *going_away;
        if (!grpc_sending(&stream) && !all_sent)
            offer_next(c);
        else if (!grpc_sending(&stream))
            grpc_finish(&stream);
        int events = grpc_pump(&stream);
        if (events < 0 || events & GRPC_ENDED)
            return events;
        *going_away |= (events & GRPC_GOING_AWAY) != 0;
        c->sent += (events & GRPC_SENT) != 0;
        if ((events & GRPC_SENT) && !all_sent)
            continue;
        c->window_stalls += grpc_sending(&stream) && !(events & GRPC_WANT_WRITE);
        struct pollfd wait = {.fd = fd, .events = POLLIN | (events & GRPC_WANT_WRITE ? POLLOUT : 0)};
        if (poll(&wait, 1, PATIENCE_MS) == 0) {
            fprintf(stderr, "nothing happened: %u sent, %u received\n", c->sent, c->received);
            exit(3);
        }
    }
}

static int connect_to(const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const char *port = strchr(address, ':');
    bool tcp = port != NULL;
    if (tcp)
        in.sin_port = htons((uint16_t)atoi(port + 1));
    else
        snprintf(un.sun_path, sizeof un.sun_path, "%s", address);
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    int failed =
        tcp ? connect(fd, (struct sockaddr *)&in, sizeof in) : connect(fd, (struct sockaddr *)&un, sizeof un);
    if (failed || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        perror(address);
        exit(2);
    }
    return fd;
}

static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    char message[512];
    bool going_away = false;
    if (argc != 7) {
        fprintf(stderr, "usage: grpc_driver ADDRESS PATH TOKEN COUNT SIZE SEED\n");
        return 2;
    }
    const char *token = argv[3][0] != '\0' ? argv[3] : NULL;
    call.count = (uint32_t)strtoul(argv[4], NULL, 10);
    call.size = (uint32_t)strtoul(argv[5], NULL, 10);
    call.random = strtoull(argv[6], NULL, 10);
    if (call.count > MESSAGES_MAX || call.size > SIZE_MOST)
        return 2;
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)next_random(&state);

    int fd = connect_to(argv[1]);
    double start = seconds();
    int opened = grpc_open(&stream, fd, argv[2], "localhost", token, on_message, &call);
    int events = opened != 0 ? opened : run(&call, fd, &going_away);
    double took = seconds() - start;
    int status = grpc_status(&stream, message, sizeof message);
    printf("{\"error\": %d, \"status\": %d, \"going_away\": %d, \"seconds\": %.3f", events < 0 ? events : 0,
           status, going_away, took);
    printf(
        ", \"sent\": %u, \"received\": %u, \"wrong\": %u, \"crc\": %u, \"window_stalls\": %u, \"message\": ",
        call.sent, call.received, call.wrong, call.crc, call.window_stalls);
    print_json_string(message);
    printf("}\n");
    return 0;
}
