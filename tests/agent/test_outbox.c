/* The outbox: everything comes out once, in order and whole, until it is acknowledged. */
#include "agent/ship/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/ship/crc32c.h"
#include "tests/agent/check.h"
#include "tests/agent/faults.h"

#define SEGMENTS 3u
#define LARGEST (200u << 10)

static char folder[] = "/tmp/calltrace-outbox-XXXXXX";

static int open_folder(void)
{
    CHECK(mkdtemp(folder) != NULL);
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    return directory;
}

static size_t size_of(uint64_t sequence)
{
    return sequence * 2654435761u % LARGEST;
}

/* Returns false when there is no room. */
static bool put(struct outbox *outbox)
{
    uint64_t sequence = outbox->next_sequence;
    uint8_t *at = outbox_reserve(outbox, size_of(sequence));
    if (at == NULL)
        return false;
    memset(at, (int)(sequence & 0xff), size_of(sequence));
    outbox_commit(outbox, size_of(sequence));
    return true;
}

/* Takes the next message, which must be that of `sequence`. */
static void take(struct outbox *outbox, uint64_t sequence)
{
    struct outbox_message message;
    CHECK(outbox_peek(outbox, &message));
    CHECK_EQUAL(message.sequence, sequence);
    CHECK_EQUAL(message.size, size_of(sequence));
    for (size_t i = 0; i < message.size; i++)
        CHECK(message.bytes[i] == (uint8_t)sequence);
    const struct frame_header *frame = (const struct frame_header *)(const void *)message.bytes - 1;
    CHECK_EQUAL(frame->crc32c, crc32c(crc32c(0, &sequence, sizeof sequence), message.bytes, message.size));
    outbox_sent(outbox);
}

/* Fills it to the brim and empties it, with acknowledgements that lag behind, many times round. */
static void go_round(struct outbox *outbox)
{
    struct outbox_message none;
    uint64_t sent = 0, refused = 0;
    for (unsigned round = 0; round < 60; round++) {
        while (put(outbox)) {
        }
        refused++;
        while (sent + 1 < outbox->next_sequence)
            take(outbox, ++sent);
        CHECK(!outbox_peek(outbox, &none));
        outbox_acknowledge(outbox, sent - sent % 7);
    }
    CHECK(refused == 60 && sent > 1000);
    CHECK(outbox->reserved == SEGMENTS);
}

static void send_again(struct outbox *outbox)
{
    uint64_t end = outbox->next_sequence, first = end;
    while (outbox_rewind(outbox, first - 1) == 0)
        first--;
    CHECK(first < end);
    CHECK_EQUAL(outbox_rewind(outbox, end + 1), -ERANGE);
    for (uint64_t from = first; from <= end; from++) {
        CHECK_EQUAL(outbox_rewind(outbox, from), 0);
        for (uint64_t sequence = from; sequence < end; sequence++)
            take(outbox, sequence);
    }
}

/* While no more than its first segment can be had, that is used again and again. */
static void go_round_in_one_segment(int directory)
{
    struct outbox outbox;
    struct outbox_message none;
    CHECK_EQUAL(outbox_open(&outbox, directory, SEGMENTS * OUTBOX_SEGMENT_BYTES), 0);
    faults_set(SYS_fallocate, 0, -ENOSPC, true);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t first = outbox.next_sequence;
        while (put(&outbox)) {
        }
        CHECK(outbox.next_sequence > first);
        uint64_t last = outbox.next_sequence - 1;
        outbox_acknowledge(&outbox, last - 1);
        for (uint64_t sequence = first; sequence < last; sequence++)
            take(&outbox, sequence);
        CHECK(!put(&outbox));
        take(&outbox, last);
        CHECK(!put(&outbox)); /* sent, but not acknowledged */
        CHECK_EQUAL(outbox_rewind(&outbox, last), 0);
        outbox_acknowledge(&outbox, last);
        CHECK(!put(&outbox)); /* acknowledged, but being sent again */
        take(&outbox, last);
        CHECK(!outbox_peek(&outbox, &none));
    }
    CHECK(faults_clear());
    CHECK(put(&outbox) && outbox.reserved == 2);
    CHECK_EQUAL(unlinkat(directory, "outbox", 0), 0);
}

static void fail_to_open(int directory)
{
    struct outbox outbox;
    const long calls[] = {SYS_openat, SYS_fallocate, SYS_mmap};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        faults_set(calls[i], 0, -ENOSPC, false);
        CHECK_EQUAL(outbox_open(&outbox, directory, SEGMENTS * OUTBOX_SEGMENT_BYTES), -ENOSPC);
        CHECK(faults_clear());
        unlinkat(directory, "outbox", 0);
    }
}

int main(void)
{
    int directory = open_folder();
    fail_to_open(directory);
    go_round_in_one_segment(directory);
    struct outbox outbox;
    CHECK_EQUAL(outbox_open(&outbox, directory, SEGMENTS * OUTBOX_SEGMENT_BYTES), 0);
    CHECK_EQUAL(outbox_open(&(struct outbox){0}, directory, OUTBOX_SEGMENT_BYTES), -EEXIST);
    CHECK(outbox_reserve(&outbox, OUTBOX_MAX_MESSAGE + 1) == NULL);
    go_round(&outbox);
    send_again(&outbox);
    CHECK_EQUAL(unlinkat(directory, "outbox", 0), 0);
    CHECK_EQUAL(rmdir(folder), 0);
    return 0;
}
