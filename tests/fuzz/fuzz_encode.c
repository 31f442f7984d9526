/*
 * Ring words that a dead process may have left behind, through the encoder: whatever they are, it ends, stays
 * within its buffers, and writes batches that follow each other without gap.
 *
 * Input: a byte of options, then words.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ship/encode.h"

#define RING_WORDS_HERE 1024u

static void require(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t words[RING_WORDS_HERE];
    static uint8_t batch[ENCODE_MAX_BYTES];
    if (size < 1)
        return 0;
    uint8_t options = data[0];
    size_t count = (size - 1) / sizeof words[0];
    if (count > RING_WORDS_HERE)
        count = RING_WORDS_HERE;
    memset(words, 0, sizeof words);
    memcpy(words, data + 1, count * sizeof words[0]);

    struct encoder encoder;
    struct encode_thread thread;
    uint32_t next_thread = 2;
    require(encoder_open(&encoder, 0, options & 3, &next_thread) == 0);
    require(encode_thread_open(&thread, 1, 0, 1ull << 40) == 0);
    /* Begins anywhere in the ring, as a ring that has gone round many times does. */
    uint64_t begin = (uint64_t)(options >> 2) * 17;
    uint64_t end = begin + count;
    thread.position = begin;
    while (thread.position != end) {
        uint64_t before = thread.position;
        int64_t consumed =
            encode_records(&encoder, &thread, (struct ring_words){words, RING_WORDS_HERE - 1}, end);
        require(encoder.columns.ring_begin == before && thread.position <= end);
        if (consumed < 0)
            encode_skip(&encoder, &thread, end);
        else
            require(consumed > 0 && thread.position == before + (uint64_t)consumed);
        size_t expected = encode_batch_size(&encoder, &thread);
        require(expected < sizeof batch);
        require((size_t)(encode_batch(&encoder, &thread, batch) - batch) == expected);
    }
    encode_thread_close(&thread);
    encoder_close(&encoder);
    return 0;
}
