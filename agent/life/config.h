/*
 * What the user chose, from the environment.
 */
#ifndef CALLTRACE_LIFE_CONFIG_H
#define CALLTRACE_LIFE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PATH_BYTES 512
#define SOCKET_PATH_BYTES 108     /* sizeof sockaddr_un.sun_path */
#define CONFIG_CAPTURE_BYTES 4097 /* what the collector takes, and a zero */

struct config {
    char socket_path[SOCKET_PATH_BYTES];   /* CALLTRACE_SOCKET, else the default socket */
    char shm_directory[CONFIG_PATH_BYTES]; /* CALLTRACE_SHM_DIR, else /dev/shm */
    uint64_t outbox_bytes; /* CALLTRACE_OUTBOX_LIMIT: a number with K, M or G; default 64 MiB */
    uint32_t max_depth;    /* CALLTRACE_MAX_DEPTH; 0: no limit */
    bool drops;            /* CALLTRACE_OVERFLOW=drop instead of block */
    bool debug;            /* CALLTRACE_DEBUG */
    /* CALLTRACE_CAPTURE_ARGS: patterns of the functions whose values are captured; empty: of none */
    char capture[CONFIG_CAPTURE_BYTES];
    uint32_t string_limit;    /* CALLTRACE_STRING_LIMIT: bytes of a text that are captured at most */
    uint64_t capture_wait_ns; /* CALLTRACE_CAPTURE_WAIT: how long a thread waits for plans at most */
};

/* Reads the environment. Returns 0, or -EINVAL with one line for the user in `error`. */
int config_read(struct config *config, char *const *environment, char *error, size_t error_bytes);

#endif
