/*
 * How a gRPC call ended: the status codes, what stands for them in HTTP, and the text beside them.
 *
 * Sources: "gRPC over HTTP2" (PROTOCOL-HTTP2.md) and "HTTP to gRPC Status Code Mapping" of gRPC's
 * documentation. Pure functions.
 */
#ifndef CALLTRACE_SHIP_GRPC_STATUS_H
#define CALLTRACE_SHIP_GRPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16, /* the last one */
};

/* Whether the same call would end so again, however often it is made. */
bool grpc_status_is_final(int status);

/* The status that a grpc-status header states: its number, or GRPC_UNKNOWN for what is none. */
int grpc_status_parse(const uint8_t *text, size_t size);

/* The status for a response whose HTTP status is not 200. */
int grpc_status_of_http(unsigned http_status);

/* The status for a stream that the peer reset with an HTTP/2 error code. */
int grpc_status_of_reset(uint32_t code);

/*
 * Writes a percent-encoded grpc-message as text: UTF-8, NUL-terminated, cut at `capacity` (at least 1).
 * What must not reach a terminal (control characters, malformed UTF-8, marks that change the direction of
 * text) becomes '?'.
 */
void grpc_status_text(char *text, size_t capacity, const uint8_t *encoded, size_t size);

/* Writes `text` and, behind it, `number`, NUL-terminated, cut at `capacity` (at least 1). */
void grpc_status_describe(char *out, size_t capacity, const char *text, uint32_t number);

#endif
