/* How a call ends: statuses and their messages, from headers, trailers and resets. */
#include "agent/ship/grpc_status.h"

#include <errno.h>
#include <string.h>

#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

/* A response of one header block, `fields` of it; and the status that it is. */
static void check_response(const char *fields, size_t size, bool end, int status, const char *text)
{
    struct peer *p = peer_greeted();
    peer_put(p, HTTP2_HEADERS, end ? 5 : 4, 1, fields, size);
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    peer_check_status(p, status, text);
    CHECK_EQUAL(grpc_pump(&p->stream), GRPC_ENDED);
    CHECK_EQUAL(grpc_offer(&p->stream, "m", 1), -EPIPE);
    peer_close(p);
}

static void test_responses(void)
{
    /* Trailers only: 7 is PERMISSION_DENIED. */
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x01"
                         "7\x00\x0c"
                         "grpc-message\x02no"),
                   true, 7, "no");
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x01"
                         "0"),
                   true, 0, "");
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x02"
                         "16"),
                   true, 16, "");
    /* What is no status is UNKNOWN. */
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x02"
                         "17"),
                   true, 2, "");
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x03"
                         "100"),
                   true, 2, "");
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x00"),
                   true, 2, "");
    check_response(BYTES("\x88\x00\x0b"
                         "grpc-status\x02"
                         "-1"),
                   true, 2, "");
    check_response(BYTES("\x88"), true, 2, "the response ended without a gRPC status, messages received: 0");
    /* Another HTTP status than 200 counts, unless gRPC's says more. */
    check_response(BYTES("\x8d"), false, 12, "the server answered with HTTP status 404");
    check_response(BYTES("\x08\x03"
                         "503"),
                   true, 14, "the server answered with HTTP status 503");
    check_response(BYTES("\x08\x03"
                         "429"),
                   true, 14, "the server answered with HTTP status 429");
    check_response(BYTES("\x08\x03"
                         "999"),
                   true, 2, "the server answered with HTTP status 999");
    check_response(BYTES("\x88\x5f\x18text/html; charset=utf-8"), true, 2,
                   "the server does not speak gRPC, HTTP status 200");
    check_response(BYTES("\x08\x03"
                         "401"),
                   true, 16, "the server answered with HTTP status 401");
    check_response(BYTES("\x08\x03"
                         "403"),
                   true, 7, "the server answered with HTTP status 403");
    check_response(BYTES("\x08\x03"
                         "400"),
                   true, 13, "the server answered with HTTP status 400");
    check_response(BYTES("\x08\x03"
                         "302"),
                   true, 2, "the server answered with HTTP status 302");
    check_response(BYTES("\x8e\x00\x0b"
                         "grpc-status\x01"
                         "0"),
                   true, 2, "the server answered with HTTP status 500");
    check_response(BYTES("\x8e\x00\x0b"
                         "grpc-status\x01"
                         "3"),
                   true, 3, "");
    check_response(BYTES("\x8e\x00\x0b"
                         "grpc-status\x01"
                         "3"),
                   false, 3, "");
    /* A web server. */
    check_response(BYTES("\x88\x5f\x09text/html"), false, 2,
                   "the server does not speak gRPC, HTTP status 200");
    check_response(BYTES("\x88\x5f\x0b"
                         "application"),
                   false, 2, "the server does not speak gRPC, HTTP status 200");
}

static void check_text(const char *encoded, const char *text)
{
    /* Memory of the exact sizes, so that a sanitizer sees what goes beyond. */
    size_t in_size = strlen(encoded);
    uint8_t *in = malloc(in_size == 0 ? 1 : in_size);
    char *out = malloc(strlen(text) + 1);
    memcpy(in, encoded, in_size);
    grpc_status_text(out, strlen(text) + 1, in, in_size);
    CHECK(strcmp(out, text) == 0);
    free(out);
    free(in);

    char block[1024] = "\x00\x0b"
                       "grpc-status\x01"
                       "9\x00\x0c"
                       "grpc-message";
    size_t size = strlen(encoded);
    CHECK(size < 127);
    block[29] = (char)size;
    memcpy(block + 30, encoded, size);
    struct peer *p = peer_responded();
    peer_put(p, HTTP2_HEADERS, 5, 1, block, 30 + size);
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    peer_check_status(p, 9, text);
    peer_close(p);
}

static void test_status_text(void)
{
    check_text("", "");
    check_text("plain text ~", "plain text ~");
    check_text("a%20b%7Ec%25", "a b~c%");
    check_text("100%", "100%");
    check_text("%4", "%4");
    check_text("%zz%4x%x4", "%zz%4x%x4");
    check_text("%e2%82%ac %F0%9F%98%80", "\xe2\x82\xac \xf0\x9f\x98\x80");
    check_text("a%1b[31m%07%00b%7f", "a?[31m??b?");
    check_text("%c3", "?");                             /* cut short */
    check_text("%c3(", "?(");                           /* no continuation */
    check_text("%80%bf", "??");                         /* no start */
    check_text("%c0%af%e0%80%af", "?????");             /* longer than need be */
    check_text("%ed%a0%80", "???");                     /* a surrogate */
    check_text("%f4%90%80%80%f5%80%80%80", "????????"); /* beyond Unicode */
    check_text("%c2%9b31m", "??31m");                   /* a control of 8 bits */
    check_text("%e2%80%aeabc", "???abc");               /* turns the direction of text */

    check_text("%f0", "?");
    check_text("%zf%fz%f", "%zf%fz%f");
    /* What is beside the ranges that are refused. */
    check_text("%c2%9f%c2%a0", "??\xc2\xa0");
    check_text("%df%bf%e0%a0%80", "\xdf\xbf\xe0\xa0\x80");
    check_text("%ed%9f%bf%ee%80%80", "\xed\x9f\xbf\xee\x80\x80");
    check_text("%ef%bf%bd%f0%90%80%80%f4%8f%bf%bf", "\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    check_text("%e2%80%8a%e2%80%8b%e2%80%8f%e2%80%90", "\xe2\x80\x8a??????\xe2\x80\x90");
    check_text("%e2%80%a7%e2%80%a8%e2%80%ae%e2%80%af", "\xe2\x80\xa7??????\xe2\x80\xaf");
    check_text("%e2%81%a5%e2%81%a6%e2%81%a9%e2%81%aa", "\xe2\x81\xa5??????\xe2\x81\xaa");
    check_text("%ed%a0%80%ed%bf%bf%ef%bb%bf", "?????????");
}

static void test_text_is_cut(void)
{
    char *out = malloc(8);
    grpc_status_describe(out, 8, "number ", 4294967295u);
    CHECK(strcmp(out, "number ") == 0);
    grpc_status_describe(out, 8, "no. ", 1234);
    CHECK(strcmp(out, "no. 123") == 0);
    grpc_status_describe(out, 8, "a long text", 0);
    CHECK(strcmp(out, "a long ") == 0);
    grpc_status_describe(out, 8, "", 0);
    CHECK(strcmp(out, "0") == 0);
    free(out);

    /* Cut to what the caller has room for. */
    struct peer *p = peer_responded();
    char small[6];
    peer_put(p, HTTP2_HEADERS, 5, 1,
             BYTES("\x00\x0b"
                   "grpc-status\x01"
                   "9\x00\x0c"
                   "grpc-message\x08"
                   "12345678"));
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    CHECK_EQUAL(grpc_status(&p->stream, small, sizeof small), 9);
    CHECK(strcmp(small, "12345") == 0);
    CHECK_EQUAL(grpc_status(&p->stream, NULL, 0), 9);
    peer_close(p);

    /* And to what we keep. */
    char block[4096] = "\x00\x0b"
                       "grpc-status\x01"
                       "9\x00\x0c"
                       "grpc-message\x7f\xd1\x0e"; /* 2,000 bytes */
    memset(block + 32, 'x', 2000);
    p = peer_responded();
    peer_put(p, HTTP2_HEADERS, 5, 1, block, 32 + 2000);
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    char text[1000];
    CHECK_EQUAL(grpc_status(&p->stream, text, sizeof text), 9);
    CHECK_EQUAL(strlen(text), 511);
    CHECK_EQUAL(strspn(text, "x"), 511);
    peer_close(p);
}

static void test_reset(void)
{
    /* The codes of RFC 9113, 7, and beyond. */
    static const int STATUSES[] = {13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13, 2};
    for (uint32_t code = 0; code < sizeof STATUSES / sizeof *STATUSES; code++) {
        char text[64];
        struct peer *p = peer_responded();
        peer_put32(p, HTTP2_RST_STREAM, 1, code);
        CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
        snprintf(text, sizeof text, "the server reset the stream, HTTP/2 error %u", code);
        peer_check_status(p, STATUSES[code], text);
        peer_close(p);
    }
}

static void test_end_without_trailers(void)
{
    struct peer *p = peer_responded();
    peer_put(p, HTTP2_DATA, HTTP2_END_STREAM, 1, BYTES("\x00\x00\x00\x00\x01x"));
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    CHECK_EQUAL(p->message_count, 1);
    peer_check_status(p, 2, "the response ended without a gRPC status, messages received: 1");
    peer_close(p);

    p = peer_responded();
    peer_put(p, HTTP2_DATA, 0, 1, BYTES("\x00\x00\x00\x00\x05hell"));
    peer_put(p, HTTP2_HEADERS, 5, 1,
             BYTES("\x00\x0b"
                   "grpc-status\x01"
                   "0"));
    CHECK_EQUAL(peer_pump(p), GRPC_ENDED);
    CHECK_EQUAL(p->message_count, 0);
    peer_check_status(p, 13, "the response ended within a message, after bytes: 9");
    peer_close(p);
}

int main(void)
{
    test_responses();
    test_status_text();
    test_text_is_cut();
    test_reset();
    test_end_without_trailers();
    return 0;
}
