/* See grpc.h. The names and rules are those of "gRPC over HTTP2" (PROTOCOL-HTTP2.md). */
#include "agent/ship/grpc.h"

#include <errno.h>
#include <string.h>

#include "agent/ship/grpc_status.h"

/* What the fields of one header block say. */
struct response {
    struct grpc_stream *stream;
    unsigned http_status; /* 0: none */
    int grpc_status;      /* -1: none */
    bool is_grpc;         /* no other content type is stated */
    bool past_pseudo;     /* a field without a colon was seen; no pseudo-field may follow */
};

static int end_call(struct grpc_stream *s, int status)
{
    s->status = status;
    return HTTP2_OVER;
}

/* Three digits, the first not 0. */
static unsigned parse_http_status(const struct hpack_field *field)
{
    const uint8_t *v = field->value;
    if (field->value_size != 3 || v[0] < '1' || v[0] > '9' || v[1] < '0' || v[1] > '9' || v[2] < '0' ||
        v[2] > '9')
        return 0;
    return (v[0] - '0') * 100u + (v[1] - '0') * 10u + (v[2] - '0');
}

/* The bytes that no name and no value may hold (RFC 9113, 8.2.1). */
static bool is_well_formed(const struct hpack_field *field)
{
    if (field->name_size == 0)
        return false;
    for (size_t i = 0; i < field->name_size; i++) {
        uint8_t c = field->name[i];
        if (c <= ' ' || c >= 0x7f || (c >= 'A' && c <= 'Z') || (c == ':' && i > 0))
            return false;
    }
    for (size_t i = 0; i < field->value_size; i++)
        if (field->value[i] == '\0' || field->value[i] == '\r' || field->value[i] == '\n')
            return false;
    return true;
}

static int take_field(void *context, const struct hpack_field *field)
{
    static const char TYPE[] = "application/grpc";
    struct response *r = context;
    struct grpc_stream *s = r->stream;
    if (!is_well_formed(field))
        return -EPROTO;
    if (field->name[0] == ':') {
        if (!hpack_is(field, ":status") || r->past_pseudo || r->http_status != 0 || s->responded)
            return -EPROTO;
        r->http_status = parse_http_status(field);
        return r->http_status != 0 ? 0 : -EPROTO;
    }
    r->past_pseudo = true;
    if (hpack_is(field, "grpc-status"))
        r->grpc_status = grpc_status_parse(field->value, field->value_size);
    else if (hpack_is(field, "grpc-message"))
        grpc_status_text(s->status_message, sizeof s->status_message, field->value, field->value_size);
    else if (hpack_is(field, "content-type"))
        r->is_grpc = field->value_size >= sizeof TYPE - 1 && memcmp(field->value, TYPE, sizeof TYPE - 1) == 0;
    return 0;
}

static int end_with(struct grpc_stream *s, int status, const char *text, uint32_t number)
{
    grpc_status_describe(s->status_message, sizeof s->status_message, text, number);
    return end_call(s, status);
}

/* The end of a call whose headers or trailers say how it ended, or ought to. */
static int take_trailers(struct grpc_stream *s, const struct response *r)
{
    if (r->grpc_status < 0)
        return end_with(s, GRPC_UNKNOWN,
                        "the response ended without a gRPC status, messages received: ", s->messages);
    if (r->grpc_status == GRPC_OK && s->inbound_size > 0)
        return end_with(s, GRPC_INTERNAL,
                        "the response ended within a message, after bytes: ", (uint32_t)s->inbound_size);
    return end_call(s, r->grpc_status);
}

static int on_headers(void *context, const uint8_t *block, size_t size, bool end)
{
    struct grpc_stream *s = context;
    struct response r = {.stream = s, .grpc_status = -1, .is_grpc = true};
    int error = hpack_decode(block, size, s->scratch, take_field, &r);
    if (error != 0)
        return error;
    if (s->responded)
        return end ? take_trailers(s, &r) : -EPROTO;

    if (r.http_status == 0)
        return -EPROTO;
    if (r.http_status < 200) /* informational: the response is still to come */
        return end ? -EPROTO : 0;
    if (r.http_status != 200 && r.grpc_status <= GRPC_OK)
        return end_with(s, grpc_status_of_http(r.http_status), "the server answered with HTTP status ",
                        r.http_status);
    if (!r.is_grpc && r.grpc_status < 0)
        return end_with(s, GRPC_UNKNOWN, "the server does not speak gRPC, HTTP status ", r.http_status);
    s->responded = true;
    return end || r.http_status != 200 ? take_trailers(s, &r) : 0;
}

/* Puts messages together: a byte that says whether it is compressed, its length, its bytes. */
static int on_data(void *context, const uint8_t *bytes, size_t size, bool end)
{
    struct grpc_stream *s = context;
    if (!s->responded)
        return -EPROTO;
    while (size > 0) {
        size_t whole = HTTP2_PREFIX_SIZE;
        if (s->inbound_size >= HTTP2_PREFIX_SIZE)
            whole += http2_get32(s->inbound + 1);
        size_t part = whole - s->inbound_size < size ? whole - s->inbound_size : size;
        memcpy(s->inbound + s->inbound_size, bytes, part);
        s->inbound_size += part;
        bytes += part;
        size -= part;
        if (s->inbound_size < HTTP2_PREFIX_SIZE)
            break;
        if (s->inbound[0] != 0) /* compressed, which we never said that we accept */
            return -EPROTO;
        uint32_t length = http2_get32(s->inbound + 1);
        if (length > GRPC_RECEIVE_LIMIT)
            return -EMSGSIZE;
        if (s->inbound_size == HTTP2_PREFIX_SIZE + length) {
            s->inbound_size = 0;
            s->messages++;
            s->on_message(s->context, s->inbound + HTTP2_PREFIX_SIZE, length);
        }
    }
    return end ? take_trailers(s, &(struct response){.grpc_status = -1}) : 0;
}

static int on_reset(void *context, uint32_t code)
{
    return end_with(context, grpc_status_of_reset(code), "the server reset the stream, HTTP/2 error ", code);
}

static const struct http2_events EVENTS = {on_headers, on_data, on_reset};

static int append_request(uint8_t *block, size_t *used, const char *path, const char *authority,
                          const char *authorization)
{
    const struct {
        const char *name;
        const char *value;
        bool secret;
    } fields[] = {
        {":method", "POST", false},
        {":scheme", "http", false},
        {":path", path, false},
        {":authority", authority, false},
        {"te", "trailers", false},
        {"content-type", "application/grpc", false},
        {"user-agent", "calltrace-agent", false},
        {"authorization", authorization, true},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].value == NULL)
            continue;
        int error =
            hpack_append(block, HTTP2_REQUEST_LIMIT, used, fields[i].name, fields[i].value, fields[i].secret);
        if (error != 0)
            return error;
    }
    return 0;
}

static int open_call(struct grpc_stream *s, int fd, const char *path, const char *authority,
                     const char *token)
{
    static const char BEARER[] = "Bearer ";

    /* Both are put together in buffers that nothing else uses before the first byte arrives. */
    char *authorization = NULL;
    if (token != NULL) {
        size_t size = strlen(token) + 1;
        if (size > HTTP2_REQUEST_LIMIT)
            return -EMSGSIZE;
        authorization = (char *)s->scratch;
        memcpy(authorization, BEARER, sizeof BEARER - 1);
        memcpy(authorization + sizeof BEARER - 1, token, size);
    }
    size_t used = 0;
    int error = append_request(s->inbound, &used, path, authority, authorization);
    if (error == 0)
        http2_open(&s->http2, fd, &EVENTS, s, s->inbound, used);
    return error;
}

int grpc_open(struct grpc_stream *s, int fd, const char *path, const char *authority, const char *token,
              grpc_message_fn on_message, void *context)
{
    s->on_message = on_message;
    s->context = context;
    s->status = -1;
    s->responded = false;
    s->messages = 0;
    s->inbound_size = 0;
    s->status_message[0] = '\0';
    s->error = open_call(s, fd, path, authority, token);
    return s->error;
}

int grpc_offer(struct grpc_stream *s, const void *message, size_t size)
{
    uint8_t prefix[HTTP2_PREFIX_SIZE] = {0};
    if (s->error != 0)
        return s->error;
    if (s->status >= 0 || s->http2.finishing)
        return -EPIPE;
    if (size > GRPC_SEND_LIMIT)
        return -EMSGSIZE;
    if (http2_sending(&s->http2))
        return -EBUSY;
    http2_put32(prefix + 1, (uint32_t)size);
    http2_offer(&s->http2, prefix, message, size);
    return 0;
}

bool grpc_sending(const struct grpc_stream *s)
{
    return http2_sending(&s->http2);
}

int grpc_pump(struct grpc_stream *s)
{
    if (s->error != 0)
        return s->error;
    if (s->status >= 0)
        return GRPC_ENDED;

    int received = http2_receive(&s->http2);
    int sent = received == 0 ? http2_send(&s->http2) : 0;
    if (sent < 0) {
        /* A peer that closes says why first, and that may have come since we looked. */
        received = http2_receive(&s->http2);
        if (received == 0)
            received = sent;
    }
    if (received < 0) {
        s->error = received;
        return s->error;
    }
    int events = received == HTTP2_OVER ? GRPC_ENDED : GRPC_WANT_READ;
    if (sent > 0)
        events |= GRPC_WANT_WRITE;
    if (s->http2.message_sent)
        events |= GRPC_SENT;
    if (s->http2.going_away)
        events |= GRPC_GOING_AWAY;
    s->http2.message_sent = false;
    return events;
}

int grpc_finish(struct grpc_stream *s)
{
    if (s->error != 0)
        return s->error;
    s->http2.finishing = true;
    return 0;
}

int grpc_status(const struct grpc_stream *s, char *message, size_t size)
{
    if (size > 0) {
        size_t length = strlen(s->status_message);
        length = length < size ? length : size - 1;
        memcpy(message, s->status_message, length);
        message[length] = '\0';
    }
    return s->status;
}
