/* Frames that a client must refuse, those that it must take, and where each rule stands in RFC 9113. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/ship/http2.h"
#include "tests/agent/check.h"
#include "tests/agent/http2_peer.h"

enum stage { OPENED, GREETED, RESPONDED };

struct sample {
    const char *what;
    enum stage stage; /* how far the connection is when it comes */
    const char *bytes;
    size_t size;
    int outcome; /* -errno; or the bits that the pump returns */
};

#define FRAME(size3, type, flags, stream4, payload) BYTES(size3 type flags stream4 payload)
#define ZERO4 "\x00\x00\x00\x00"
#define ONE4 "\x00\x00\x00\x01"
#define FIVE4 "\x00\x00\x00\x05"

#define DATA "\x00"
#define HEADERS "\x01"
#define PRIORITY "\x02"
#define RST "\x03"
#define SETTINGS "\x04"
#define PUSH "\x05"
#define PING "\x06"
#define GOAWAY "\x07"
#define WINDOW "\x08"
#define CONT "\x09"
#define UNKNOWN "\x0a"

static const struct sample SAMPLES[] = {
    /* 3.4: the server's preface */
    {"PING first", OPENED, FRAME("\0\0\10", PING, "\0", ZERO4, "question"), -EPROTO},
    {"HEADERS first", OPENED, FRAME("\0\0\1", HEADERS, "\4", ONE4, "\x88"), -EPROTO},
    {"SETTINGS acknowledgement first", OPENED, FRAME("\0\0\0", SETTINGS, "\1", ZERO4, ""), -EPROTO},
    {"an HTTP/1 server", OPENED, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), -EPROTO},
    {"SETTINGS first", OPENED, FRAME("\0\0\0", SETTINGS, "\0", ZERO4, ""), GRPC_WANT_READ},

    /* 4.2: sizes; only the header comes, and that is enough */
    {"frame above 16,384", GREETED, FRAME("\0\x40\1", UNKNOWN, "\0", ZERO4, ""), -EPROTO},
    {"frame of 16 MiB", RESPONDED, FRAME("\xff\xff\xff", DATA, "\0", ONE4, ""), -EPROTO},
    {"frame of 16,384, its start", GREETED, FRAME("\0\x40\0", UNKNOWN, "\0", ZERO4, ""), GRPC_WANT_READ},
    {"reserved bit of the stream", GREETED, FRAME("\0\0\10", PING, "\0", "\x80\0\0\0", "question"),
     GRPC_WANT_READ},
    {"unknown type", GREETED, FRAME("\0\0\3", UNKNOWN, "\xff", FIVE4, "abc"), GRPC_WANT_READ},
    {"unknown type 255", RESPONDED, FRAME("\0\0\0", "\xff", "\xff", ZERO4, ""), GRPC_WANT_READ},

    /* 6.1: DATA */
    {"DATA on stream 0", RESPONDED, FRAME("\0\0\0", DATA, "\0", ZERO4, ""), -EPROTO},
    {"DATA on another stream", RESPONDED, FRAME("\0\0\0", DATA, "\0", FIVE4, ""), -EPROTO},
    {"DATA before HEADERS", GREETED, FRAME("\0\0\0", DATA, "\0", ONE4, ""), -EPROTO},
    {"DATA without bytes", RESPONDED, FRAME("\0\0\0", DATA, "\0", ONE4, ""), GRPC_WANT_READ},
    {"padded DATA without a length", RESPONDED, FRAME("\0\0\0", DATA, "\10", ONE4, ""), -EPROTO},
    {"padding as long as the frame", RESPONDED, FRAME("\0\0\3", DATA, "\10", ONE4, "\3ab"), -EPROTO},
    {"padding longer than the frame", RESPONDED,
     FRAME("\0\0\3", DATA, "\10", ONE4,
           "\xff"
           "ab"),
     -EPROTO},
    {"padding as long as the frame, of zeros", RESPONDED, FRAME("\0\0\6", DATA, "\10", ONE4, "\6\0\0\0\0\0"),
     -EPROTO},
    {"nothing but padding", RESPONDED, FRAME("\0\0\3", DATA, "\10", ONE4, "\2ab"), GRPC_WANT_READ},

    /* 6.2: HEADERS */
    {"HEADERS on stream 0", GREETED, FRAME("\0\0\1", HEADERS, "\4", ZERO4, "\x88"), -EPROTO},
    {"HEADERS on a pushed stream", GREETED, FRAME("\0\0\1", HEADERS, "\4", "\0\0\0\2", "\x88"), -EPROTO},
    {"HEADERS without fields", GREETED, FRAME("\0\0\0", HEADERS, "\4", ONE4, ""), -EPROTO},
    {"HEADERS, padding too long", GREETED, FRAME("\0\0\2", HEADERS, "\14", ONE4, "\2\x88"), -EPROTO},
    {"HEADERS, priority cut short", GREETED, FRAME("\0\0\4", HEADERS, "\44", ONE4, "\0\0\0\0"), -EPROTO},
    {"HEADERS, padding over priority", GREETED,
     FRAME("\0\0\10", HEADERS, "\54", ONE4,
           "\3\0\0\0\0"
           "\0\0\0"),
     -EPROTO},
    {"HEADERS, padded, with priority", GREETED,
     FRAME("\0\0\11", HEADERS, "\54", ONE4, "\2\0\0\0\0\xff\x88\0\0"), GRPC_WANT_READ},
    {"HEADERS, nothing but priority, and more", GREETED,
     BYTES("\0\0\5" HEADERS "\40" ONE4 "\0\0\0\0\xff"
           "\0\0\1" CONT "\4" ONE4 "\x88"),
     GRPC_WANT_READ},
    {"HEADERS again, not the end", RESPONDED, FRAME("\0\0\1", HEADERS, "\4", ONE4, "\x88"), -EPROTO},
    {"two statuses", GREETED, FRAME("\0\0\2", HEADERS, "\4", ONE4, "\x88\x88"), -EPROTO},
    {"a request's field", GREETED, FRAME("\0\0\2", HEADERS, "\4", ONE4, "\x88\x82"), -EPROTO},
    {"status behind a field", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\0\1x\1y\x88"), -EPROTO},
    {"status in trailers", RESPONDED, FRAME("\0\0\1", HEADERS, "\5", ONE4, "\x88"), -EPROTO},
    {"status 20", GREETED,
     FRAME("\0\0\4", HEADERS, "\4", ONE4,
           "\10\2"
           "20"),
     -EPROTO},
    {"status 2x0", GREETED,
     FRAME("\0\0\5", HEADERS, "\4", ONE4,
           "\10\3"
           "2x0"),
     -EPROTO},
    {"status 099", GREETED,
     FRAME("\0\0\5", HEADERS, "\4", ONE4,
           "\10\3"
           "099"),
     -EPROTO},
    {"status 2000", GREETED,
     FRAME("\0\0\6", HEADERS, "\4", ONE4,
           "\10\4"
           "2000"),
     -EPROTO},
    {"status 20:", GREETED,
     FRAME("\0\0\5", HEADERS, "\4", ONE4,
           "\10\3"
           "20:"),
     -EPROTO},
    {"status 100, the end", GREETED,
     FRAME("\0\0\5", HEADERS, "\5", ONE4,
           "\10\3"
           "100"),
     -EPROTO},
    {"status 100", GREETED,
     FRAME("\0\0\5", HEADERS, "\4", ONE4,
           "\10\3"
           "100"),
     GRPC_WANT_READ},
    {"a capital in a name", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1X\1y"), -EPROTO},
    {"the last capital in a name", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1Z\1y"), -EPROTO},
    {"a space in a name", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1 \1y"), -EPROTO},
    {"DEL in a name", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1\x7f\1y"), -EPROTO},
    {"a byte of 8 bits in a name", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1\xe4\1y"), -EPROTO},
    {"marks in a name", GREETED, FRAME("\0\0\12", HEADERS, "\4", ONE4, "\x88\0\5@[`{~\1y"), GRPC_WANT_READ},
    {"a colon within a name", GREETED, FRAME("\0\0\7", HEADERS, "\4", ONE4, "\x88\0\2x:\1y"), -EPROTO},
    {"no name", GREETED, FRAME("\0\0\5", HEADERS, "\4", ONE4, "\x88\0\0\1y"), -EPROTO},
    {"a line's end in a value", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1x\1\n"), -EPROTO},
    {"NUL in a value", GREETED, FRAME("\0\0\6", HEADERS, "\4", ONE4, "\x88\0\1x\1\0"), -EPROTO},
    {"a malformed block", GREETED, FRAME("\0\0\2", HEADERS, "\4", ONE4, "\x88\xbe"), -EPROTO},

    /* 6.3: PRIORITY */
    {"PRIORITY on stream 0", GREETED, FRAME("\0\0\5", PRIORITY, "\0", ZERO4, "12345"), -EPROTO},
    {"PRIORITY of 4 bytes", GREETED, FRAME("\0\0\4", PRIORITY, "\0", ONE4, "1234"), -EPROTO},
    {"PRIORITY on an idle stream", GREETED, FRAME("\0\0\5", PRIORITY, "\0", FIVE4, "12345"), GRPC_WANT_READ},

    /* 6.4: RST_STREAM */
    {"RST_STREAM on stream 0", GREETED, FRAME("\0\0\4", RST, "\0", ZERO4, ZERO4), -EPROTO},
    {"RST_STREAM on an idle stream", GREETED, FRAME("\0\0\4", RST, "\0", FIVE4, ZERO4), -EPROTO},
    {"RST_STREAM of 3 bytes", GREETED, FRAME("\0\0\3", RST, "\0", ONE4, "\0\0\0"), -EPROTO},
    {"RST_STREAM", GREETED, FRAME("\0\0\4", RST, "\0", ONE4, ZERO4), GRPC_ENDED},

    /* 6.5: SETTINGS */
    {"SETTINGS on a stream", GREETED, FRAME("\0\0\0", SETTINGS, "\0", ONE4, ""), -EPROTO},
    {"SETTINGS of 5 bytes", GREETED, FRAME("\0\0\5", SETTINGS, "\0", ZERO4, "\0\1\0\0\0"), -EPROTO},
    {"SETTINGS acknowledgement of 6", GREETED, FRAME("\0\0\6", SETTINGS, "\1", ZERO4, "\0\1\0\0\0\0"),
     -EPROTO},
    {"SETTINGS acknowledgement", GREETED, FRAME("\0\0\0", SETTINGS, "\1", ZERO4, ""), GRPC_WANT_READ},
    {"a table of 4 GiB, which we do not use", GREETED,
     FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\1\xff\xff\xff\xff"), GRPC_WANT_READ},
    {"push enabled by the server", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\2\0\0\0\1"), -EPROTO},
    {"window of 2 GiB", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\4\x80\0\0\0"), -EPROTO},
    {"window of 2 GiB - 1", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\4\x7f\xff\xff\xff"),
     GRPC_WANT_READ},
    {"frames of 16,383", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\5\0\0\x3f\xff"), -EPROTO},
    {"frames of 16 MiB", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\0\5\1\0\0\0"), -EPROTO},
    {"unknown setting", GREETED, FRAME("\0\0\6", SETTINGS, "\0", ZERO4, "\xff\xff\1\0\0\0"), GRPC_WANT_READ},
    {"wrong among right ones", GREETED,
     FRAME("\0\0\22", SETTINGS, "\0", ZERO4,
           "\0\1\0\0\0\0"
           "\0\5\0\0\0\0"
           "\0\4\0\0\0\0"),
     -EPROTO},

    /* 6.6: PUSH_PROMISE */
    {"PUSH_PROMISE", RESPONDED, FRAME("\0\0\5", PUSH, "\4", ONE4, "\0\0\0\2\x82"), -EPROTO},

    /* 6.7: PING */
    {"PING on a stream", GREETED, FRAME("\0\0\10", PING, "\0", ONE4, "question"), -EPROTO},
    {"PING of 7 bytes", GREETED, FRAME("\0\0\7", PING, "\0", ZERO4, "questio"), -EPROTO},
    {"PING of 9 bytes, acknowledged", GREETED, FRAME("\0\0\11", PING, "\1", ZERO4, "questions"), -EPROTO},

    /* 6.8: GOAWAY */
    {"GOAWAY on a stream", GREETED, FRAME("\0\0\10", GOAWAY, "\0", ONE4, ONE4 ZERO4), -EPROTO},
    {"GOAWAY of 7 bytes", GREETED, FRAME("\0\0\7", GOAWAY, "\0", ZERO4, ONE4 "\0\0\0"), -EPROTO},
    {"GOAWAY that leaves us out", GREETED, FRAME("\0\0\10", GOAWAY, "\0", ZERO4, ZERO4 ZERO4), -ECONNREFUSED},
    {"GOAWAY that includes us, with a text", GREETED,
     FRAME("\0\0\12", GOAWAY, "\0", ZERO4, "\xff\xff\xff\xff" ZERO4 "hi"), GRPC_WANT_READ | GRPC_GOING_AWAY},

    /* 6.9: WINDOW_UPDATE */
    {"WINDOW_UPDATE of 3 bytes", GREETED, FRAME("\0\0\3", WINDOW, "\0", ZERO4, "\0\0\1"), -EPROTO},
    {"WINDOW_UPDATE by 0", GREETED, FRAME("\0\0\4", WINDOW, "\0", ZERO4, ZERO4), -EPROTO},
    {"WINDOW_UPDATE by 0 of the stream", GREETED, FRAME("\0\0\4", WINDOW, "\0", ONE4, "\x80\0\0\0"), -EPROTO},
    {"WINDOW_UPDATE of an idle stream", GREETED, FRAME("\0\0\4", WINDOW, "\0", FIVE4, ONE4), -EPROTO},
    {"connection's window of 2 GiB - 1", GREETED, FRAME("\0\0\4", WINDOW, "\0", ZERO4, "\x7f\xff\0\0"),
     GRPC_WANT_READ},
    {"connection's window of 2 GiB", GREETED, FRAME("\0\0\4", WINDOW, "\0", ZERO4, "\x7f\xff\0\1"), -EPROTO},
    {"stream's window of 2 GiB - 1", GREETED, FRAME("\0\0\4", WINDOW, "\0", ONE4, "\x7f\xff\0\0"),
     GRPC_WANT_READ},
    {"stream's window of 2 GiB", GREETED, FRAME("\0\0\4", WINDOW, "\0", ONE4, "\x7f\xff\0\1"), -EPROTO},
    {"stream's window of 2 GiB, by a setting", GREETED,
     BYTES("\0\0\4" WINDOW "\0" ONE4 "\x7f\xff\0\0"
           "\0\0\6" SETTINGS "\0" ZERO4 "\0\4\0\1\0\0"),
     -EPROTO},

    /* 6.10: CONTINUATION */
    {"CONTINUATION of nothing", GREETED, FRAME("\0\0\1", CONT, "\4", ONE4, "\x88"), -EPROTO},
    {"CONTINUATION behind a whole block", RESPONDED, FRAME("\0\0\0", CONT, "\4", ONE4, ""), -EPROTO},
    {"CONTINUATION of another stream", GREETED,
     BYTES("\0\0\1" HEADERS "\0" ONE4 "\x88"
           "\0\0\0" CONT "\4" FIVE4),
     -EPROTO},
    {"PING within a block", GREETED,
     BYTES("\0\0\1" HEADERS "\0" ONE4 "\x88"
           "\0\0\10" PING "\0" ZERO4 "question"),
     -EPROTO},
    {"unknown type within a block", GREETED,
     BYTES("\0\0\1" HEADERS "\0" ONE4 "\x88"
           "\0\0\0" UNKNOWN "\0" ZERO4),
     -EPROTO},
    {"HEADERS within a block", GREETED,
     BYTES("\0\0\1" HEADERS "\0" ONE4 "\x88"
           "\0\0\1" HEADERS "\4" ONE4 "\x88"),
     -EPROTO},
    {"a block in three parts, one empty", GREETED,
     BYTES("\0\0\2" HEADERS "\0" ONE4 "\x88\0"
           "\0\0\0" CONT "\0" ONE4 "\0\0\4" CONT "\4" ONE4 "\1x\1y"),
     GRPC_WANT_READ},

    /* gRPC's messages */
    {"compressed message", RESPONDED, FRAME("\0\0\6", DATA, "\0", ONE4, "\1\0\0\0\1x"), -EPROTO},
    {"message of 65,537 bytes", RESPONDED, FRAME("\0\0\5", DATA, "\0", ONE4, "\0\0\1\0\1"), -EMSGSIZE},
    {"message of 4 GiB", RESPONDED, FRAME("\0\0\5", DATA, "\0", ONE4, "\0\xff\xff\xff\xff"), -EMSGSIZE},
    {"message of 65,536 bytes, its start", RESPONDED, FRAME("\0\0\5", DATA, "\0", ONE4, "\0\0\1\0\0"),
     GRPC_WANT_READ},
};

static struct peer *peer_at(enum stage stage)
{
    return stage == OPENED ? peer_open() : stage == GREETED ? peer_greeted() : peer_responded();
}

static void expect(const struct sample *s, const char *how, int outcome, int expected)
{
    if (outcome == expected)
        return;
    fprintf(stderr, "%s, %s: %d, not %d\n", s->what, how, outcome, expected);
    exit(1);
}

static void test_samples(void)
{
    for (const struct sample *s = SAMPLES; s < SAMPLES + sizeof SAMPLES / sizeof *SAMPLES; s++) {
        struct peer *p = peer_at(s->stage);
        peer_write(p, s->bytes, s->size);
        expect(s, "at once", peer_pump(p), s->outcome);
        expect(s, "asked again", peer_pump(p) & ~GRPC_GOING_AWAY, s->outcome & ~GRPC_GOING_AWAY);
        int offered = s->outcome == GRPC_ENDED ? -EPIPE : s->outcome < 0 ? s->outcome : 0;
        expect(s, "offered a message", grpc_offer(&p->stream, "m", 1), offered);
        expect(s, "messages", (int)p->message_count, 0); /* no sample holds a whole one */
        peer_close(p);

        /* Byte by byte, it comes out the same. */
        p = peer_at(s->stage);
        int outcome = 0;
        for (size_t i = 0; i < s->size && outcome >= 0 && !(outcome & GRPC_ENDED); i++) {
            peer_write(p, s->bytes + i, 1);
            outcome = peer_pump(p);
        }
        expect(s, "byte by byte", outcome, s->outcome);
        peer_close(p);
    }
}

/* A block of 16 KiB is taken, in two frames, and none that is longer. What fills it says 16,383 times that
 * the dynamic table is empty. */
static void test_block_size(void)
{
    static uint8_t block[16385];
    for (size_t excess = 0; excess < 2; excess++) {
        struct peer *p = peer_greeted();
        memset(block, 0x20, sizeof block);
        block[16383 + excess] = 0x88;
        peer_put(p, HTTP2_HEADERS, 0, 1, block, 16000);
        peer_put(p, HTTP2_CONTINUATION, HTTP2_END_HEADERS, 1, block + 16000, 384 + excess);
        CHECK_EQUAL(peer_pump(p), excess == 0 ? GRPC_WANT_READ : -EPROTO);
        peer_close(p);
    }
}

int main(void)
{
    test_samples();
    test_block_size();
    return 0;
}
