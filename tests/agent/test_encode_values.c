/* Captured values in ring records: which of them come into the batches, and with which event. What is
 * expected is noted when the records are made. */
#include <errno.h>
#include <string.h>

#include "agent/record/capture_program.h"
#include "agent/record/layout.h"
#include "agent/ship/encode.h"
#include "agent/ship/proto_read.h"
#include "tests/agent/check.h"

#define RING_WORDS_HERE (1u << 18)
#define BASE (1ull << 40)
#define MOST_EVENTS 200000u
#define MOST_BYTES (8u << 20)

/* Events in their order: what the column `op` says of each, but for the site's number, and its values. */
struct events {
    uint32_t count;
    uint8_t is_entry[MOST_EVENTS];
    uint16_t size[MOST_EVENTS];
    uint32_t length;
    uint8_t bytes[MOST_BYTES];
};

static struct events expected, found;
static uint64_t ring[RING_WORDS_HERE];
static uint64_t ring_begin, ring_end, ticks;
static uint32_t longest_dt;
static uint64_t seed;

static uint32_t any(uint32_t limit)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % limit;
}

static void begin_ring(uint64_t begin, uint64_t with_seed)
{
    seed = with_seed;
    ring_begin = ring_end = begin;
    longest_dt = 300;
    expected.count = expected.length = found.count = found.length = 0;
}

static void put_word(uint64_t word)
{
    CHECK(ring_end - ring_begin < RING_WORDS_HERE);
    ring[ring_end++ & (RING_WORDS_HERE - 1)] = word;
}

static void add_event(struct events *to, bool is_entry, const uint8_t *bytes, size_t size)
{
    CHECK(to->count < MOST_EVENTS && to->length + size <= MOST_BYTES);
    to->is_entry[to->count] = is_entry;
    to->size[to->count++] = (uint16_t)size;
    if (size != 0)
        memcpy(to->bytes + to->length, bytes, size);
    to->length += (uint32_t)size;
}

/* A record with `size` bytes of values, which take some words more than they need. */
static void put_record(uint64_t kind, uint64_t function, uint64_t stack_pointer, size_t size, bool is_sent)
{
    uint8_t bytes[CAPTURE_BYTES + 64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)any(256);
    put_word(ticks += any(longest_dt));
    put_word(function | (stack_pointer >> 4 & RECORD_SP_LOW_MASK) << 48 | (size != 0 ? 1ull << 47 : 0) |
             kind << 62);
    if (kind == RECORD_ENTRY)
        put_word(0x5000 | (stack_pointer >> 18 & 0xffff) << 48);
    if (is_sent)
        add_event(&expected, kind == RECORD_ENTRY, bytes, size);
    if (size == 0)
        return;
    size_t words = (size + 7) / 8 + any(3);
    put_word(size | (uint64_t)words << 16 | (stack_pointer >> 18 & 0xffff) << 48);
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + 8 * i, sizeof word);
        put_word(word);
    }
}

static void put_void(uint64_t dropped, uint64_t words)
{
    put_word(ticks);
    put_word(dropped | words << 48 | 2ull << 62);
    for (uint64_t i = 0; i < words; i++)
        put_word(~0ull);
}

static void read_batch(const uint8_t *bytes, size_t size)
{
    struct proto_reader r = {bytes, bytes + size}, op = {0}, sizes = {0}, values = {0};
    struct proto_field field;
    while (r.at < r.end) {
        CHECK_EQUAL(proto_read_field(&r, &field), 0);
        if (field.number == 8)
            op = field.inside;
        else if (field.number == 11)
            sizes = field.inside;
        else if (field.number == 12)
            values = field.inside;
    }
    CHECK_EQUAL(sizes.at != NULL, values.at != NULL); /* both or neither */
    CHECK(values.at != values.end || values.at == NULL);
    bool has_sizes = sizes.at != NULL;
    while (op.at < op.end) {
        uint64_t code, bytes_here = 0;
        CHECK_EQUAL(proto_read_varint(&op, &code), 0);
        if (has_sizes)
            CHECK_EQUAL(proto_read_varint(&sizes, &bytes_here), 0);
        CHECK(bytes_here <= (uint64_t)(values.end - values.at));
        add_event(&found, code != 0, bytes_here != 0 ? values.at : bytes, bytes_here);
        values.at += bytes_here;
    }
    CHECK(sizes.at == sizes.end && values.at == values.end);
}

/* Encodes the ring, as far as it can be; returns what stopped it. */
static int64_t encode(uint32_t max_depth)
{
    static uint8_t batch[ENCODE_MAX_BYTES];
    struct encoder encoder;
    struct encode_thread thread;
    uint32_t next_thread = 1;
    int64_t status = 0;
    CHECK_EQUAL(encoder_open(&encoder, 0, max_depth, &next_thread), 0);
    CHECK_EQUAL(encode_thread_open(&thread, 0, 0, BASE), 0);
    thread.position = ring_begin;
    while (thread.position != ring_end && status >= 0) {
        uint64_t before = thread.position;
        status = encode_records(&encoder, &thread, (struct ring_words){ring, RING_WORDS_HERE - 1}, ring_end);
        CHECK(status != 0);
        CHECK(status < 0 || thread.position == before + (uint64_t)status);
        size_t size = encode_batch_size(&encoder, &thread);
        CHECK(size < sizeof batch);
        CHECK_EQUAL(encode_batch(&encoder, &thread, batch) - batch, size);
        read_batch(batch, size);
    }
    encode_thread_close(&thread);
    encoder_close(&encoder);
    return status;
}

static void check_found(void)
{
    CHECK_EQUAL(found.count, expected.count);
    CHECK(memcmp(found.is_entry, expected.is_entry, expected.count) == 0);
    CHECK(memcmp(found.size, expected.size, expected.count * sizeof *expected.size) == 0);
    CHECK_EQUAL(found.length, expected.length);
    CHECK(memcmp(found.bytes, expected.bytes, expected.length) == 0);
}

static size_t any_size(uint32_t largest, uint32_t one_of)
{
    return any(one_of) == 0 ? sizeof(uint32_t) + any(largest - 3) : 0;
}

/* Calls of all kinds, some deeper than the limit, with values or without. */
static void make_calls(uint32_t events, uint32_t max_depth, uint32_t largest, uint32_t one_of)
{
    uint32_t depth = 0, dropped = 0;
    for (uint32_t i = 0; i < events; i++) {
        size_t size = any_size(largest, one_of);
        uint32_t what = any(32);
        uint32_t limit = max_depth == 0 ? UINT32_MAX : max_depth;
        if (what == 0) {
            put_void(dropped, any(600));
        } else if (what == 1) { /* nobody's exit */
            put_record(RECORD_EXIT, 0x6000, BASE - 64 * (depth + 1), size, false);
        } else if (what < 17 && depth < 40) {
            depth++;
            put_record(RECORD_ENTRY, 0x1000 + depth, BASE - 64 * depth, size, depth <= limit);
        } else if (depth > 0) {
            put_record(RECORD_EXIT, 0x1000 + depth, BASE - 64 * depth, size, depth <= limit);
            depth--;
        }
    }
}

static void test_random(void)
{
    static const uint32_t depths[] = {0, 1, 5};
    for (uint64_t round = 0; round < 30; round++) {
        uint32_t max_depth = depths[round % 3];
        begin_ring(round * 12345, round);
        make_calls(1000, max_depth, round % 2 == 0 ? 60 : CAPTURE_BYTES, 1 + (uint32_t)round % 5);
        CHECK(encode(max_depth) > 0);
        CHECK(expected.length > 0);
        check_found();
    }
}

/* A batch that is nearly full of events without values has no room for the sizes of all of them. */
static void test_late_values(void)
{
    begin_ring(3, 1);
    longest_dt = 2600; /* so that both limits of a batch are near, its bytes and its events */
    for (uint32_t i = 0; i < ENCODE_MAX_EVENTS / 2 - 20; i++) {
        put_record(RECORD_ENTRY, 0x1000, BASE - 64, 0, true);
        put_record(RECORD_EXIT, 0x1000, BASE - 64, 0, true);
    }
    put_record(RECORD_ENTRY, 0x1000, BASE - 64, CAPTURE_BYTES, true);
    put_record(RECORD_EXIT, 0x1000, BASE - 64, 4, true);
    put_record(RECORD_ENTRY, 0x1000, BASE - 64, 0, true);
    CHECK(encode(0) > 0);
    check_found();
}

/* A call that an exception ends has no return value, though its exit hook has run. */
static void test_unwound(void)
{
    begin_ring(0, 1);
    put_record(RECORD_ENTRY, 0x1000, BASE - 64, 8, true);
    put_record(RECORD_ENTRY, 0x2000, BASE - 128, 12, true);
    put_word(ticks);
    put_word((BASE - 128) >> 4 << 48 >> 2 | 3ull << 62);
    put_word(NOTE_RAISE | (BASE - 128) >> 18 << 48);
    put_record(RECORD_EXIT, 0x2000, BASE - 128, 16, false);
    put_record(RECORD_EXIT, 0x1000, BASE - 64, 16, false);
    CHECK(encode(0) > 0);
    check_found();
}

/* A return value is of the call whose stack pointer is the exit's, as far as both are known. */
static void test_exits_of_others(void)
{
    const uint64_t apart[] = {1ull << 18, 1ull << 33, 16};
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        begin_ring(0, i);
        put_record(RECORD_ENTRY, 0x1000, BASE - 64, 8, true);
        put_record(RECORD_EXIT, 0x1000, BASE - 64 - apart[i], 8, false);
        add_event(&expected, false, NULL, 0);
        CHECK(encode(0) > 0);
        check_found();
    }
    /* Not when the call's own exit and another's entry may have been dropped. */
    begin_ring(0, 1);
    put_record(RECORD_ENTRY, 0x1000, BASE - 64, 8, true);
    put_void(2, 0);
    put_record(RECORD_ENTRY, 0x2000, BASE - 128, 8, true);
    put_record(RECORD_EXIT, 0x2000, BASE - 128, 8, true);
    put_record(RECORD_EXIT, 0x1000, BASE - 64, 8, false);
    add_event(&expected, false, NULL, 0);
    CHECK(encode(0) > 0);
    check_found();
}

/* Words that a dead process may have left: what is in order before them is encoded. */
static void test_damaged(void)
{
    const struct {
        uint64_t values_word;
        uint64_t words; /* behind it */
    } damaged[] = {
        {0, 0},
        {3 | 1 << 16, 1},                       /* too few for a layout */
        {(CAPTURE_BYTES + 1) | 513 << 16, 513}, /* too many */
        {8 | 0 << 16, 1},                       /* more bytes than words */
        {9 | 1 << 16, 2},
        {8 | 2 << 16, 1}, /* more words than there are */
        {~0ull, 1},
        {4 | 1 << 16, 0},
    };
    for (size_t i = 0; i <= sizeof damaged / sizeof *damaged; i++) {
        for (uint64_t kind = RECORD_ENTRY; kind <= RECORD_EXIT; kind++) {
            begin_ring(RING_WORDS_HERE - 5, 1);
            put_record(RECORD_ENTRY, 0x1000, BASE - 64, 8, true);
            put_word(ticks);
            put_word(0x2000 | 1ull << 47 | (BASE - 128) >> 4 << 50 >> 2 | kind << 62);
            if (kind == RECORD_ENTRY)
                put_word(0x5000);
            if (i < sizeof damaged / sizeof *damaged) /* else the ring ends here */
                put_word(damaged[i].values_word);
            for (uint64_t k = 0; i < sizeof damaged / sizeof *damaged && k < damaged[i].words; k++)
                put_word(7);
            CHECK_EQUAL(encode(0), -EBADMSG);
            check_found();
        }
    }
    begin_ring(0, 1);
    put_void(0, 5);
    ring_end--;
    CHECK_EQUAL(encode(0), -EBADMSG);
    /* No function: neither the entry nor its values come anywhere. */
    begin_ring(0, 1);
    put_record(RECORD_ENTRY, 0x1000, BASE - 64, 0, true);
    put_record(RECORD_ENTRY, 0, BASE - 128, 8, false);
    uint64_t damaged_at = RECORD_ENTRY_WORDS;
    CHECK_EQUAL(encode(0), -EBADMSG);
    check_found();
    struct encode_thread thread;
    struct encoder encoder;
    uint32_t next_thread = 1;
    CHECK_EQUAL(encoder_open(&encoder, 0, 0, &next_thread), 0);
    CHECK_EQUAL(encode_thread_open(&thread, 0, 0, BASE), 0);
    const struct ring_words words = {ring, RING_WORDS_HERE - 1};
    CHECK_EQUAL(encode_records(&encoder, &thread, words, ring_end), -EBADMSG);
    CHECK_EQUAL(thread.position, damaged_at);
    encode_skip(&encoder, &thread, ring_end);
    put_record(RECORD_EXIT, 0x1000, BASE - 64, 0, true);
    CHECK(encode_records(&encoder, &thread, words, ring_end) > 0);
    CHECK(encoder.columns.values == encoder.columns.values_end);
    encode_thread_close(&thread);
    encoder_close(&encoder);
}

int main(void)
{
    test_random();
    test_late_values();
    test_unwound();
    test_exits_of_others();
    test_damaged();
    return 0;
}
