/*
 * The records that a dead process left in its rings, encoded with the agent's own encoder.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/ship/crc32c.h"
#include "agent/ship/encode.h"
#include "calltrace_collector/core/core.h"

struct ct_recovery {
    struct encoder encoder;
    struct encode_thread thread;
    struct ct_ring ring;
    uint32_t next_thread;
};

struct ct_recovery *ct_recovery_new(uint32_t first_site, uint32_t next_thread, uint32_t max_depth)
{
    struct ct_recovery *recovery = calloc(1, sizeof *recovery);
    if (recovery == NULL)
        return NULL;
    recovery->next_thread = next_thread;
    if (encoder_open(&recovery->encoder, first_site, max_depth, &recovery->next_thread) == 0)
        return recovery;
    free(recovery);
    return NULL;
}

void ct_recovery_free(struct ct_recovery *recovery)
{
    if (recovery == NULL)
        return;
    encode_thread_close(&recovery->thread);
    encoder_close(&recovery->encoder);
    free(recovery);
}

static int open_frames(struct ct_recovery *recovery, struct frames *frames,
                       const struct ct_open_call *open_calls, uint32_t depth)
{
    uint32_t max_depth = recovery->encoder.max_depth;
    if (max_depth != 0 && depth >= max_depth)
        recovery->thread.forgot_cut_calls = true;
    for (uint32_t i = 0; i < depth; i++) {
        if (frames->depth + 1 >= frames->capacity && frames_grow(frames) < 0)
            return CT_ENOMEM;
        frames->open[++frames->depth] = (struct frame){
            .function = open_calls[i].function_address,
            .call_site = open_calls[i].call_site_address,
            .stack_pointer = open_calls[i].stack_pointer,
        };
    }
    return 0;
}

int ct_recovery_begin(struct ct_recovery *recovery, uint32_t thread, uint64_t last_ticks, uint64_t stack_base,
                      const struct ct_open_call *open_calls, uint32_t depth, const struct ct_ring *ring)
{
    if ((ring->size_words & (ring->size_words - 1)) != 0 || ring->end - ring->begin > ring->size_words)
        return CT_ERANGE;
    encode_thread_close(&recovery->thread);
    if (encode_thread_open(&recovery->thread, thread, last_ticks, stack_base) < 0)
        return CT_ENOMEM;
    recovery->ring = *ring;
    recovery->thread.position = ring->begin;
    recovery->thread.dropped = ring->dropped_before;
    return open_frames(recovery, &recovery->thread.stacks.own->frames, open_calls, depth);
}

int ct_recovery_add_stack(struct ct_recovery *recovery, uint32_t number, uint64_t stack_base, uint64_t bytes,
                          const struct ct_open_call *open_calls, uint32_t depth)
{
    struct stacks *stacks = &recovery->thread.stacks;
    struct stack *old;
    if (bytes == 0 || bytes > stack_base)
        return CT_ERANGE;
    while ((old = stacks_from(stacks, stack_base - bytes)) != NULL && old->low < stack_base)
        stacks_remove(stacks, old);
    struct stack *stack = stacks_add(stacks, number, stack_base - bytes, bytes);
    if (stack == NULL)
        return CT_ENOMEM;
    stacks->unsure = true;
    return open_frames(recovery, &stack->frames, open_calls, depth);
}

int64_t ct_recovery_next(struct ct_recovery *recovery, uint8_t *batch)
{
    struct encode_thread *thread = &recovery->thread;
    if (thread->position == recovery->ring.end) {
        if (!encode_drops(&recovery->encoder, thread, recovery->ring.dropped))
            return 0;
        return encode_batch(&recovery->encoder, thread, batch) - batch;
    }
    struct ring_words words = {recovery->ring.words, recovery->ring.size_words - 1};
    int64_t status = encode_records(&recovery->encoder, thread, words, recovery->ring.end);
    if (status == -ENOMEM)
        return CT_ENOMEM;
    if (status < 0)
        encode_skip(&recovery->encoder, thread, recovery->ring.end);
    return encode_batch(&recovery->encoder, thread, batch) - batch;
}

uint32_t ct_crc32c(const uint8_t *bytes, size_t size)
{
    return crc32c(0, bytes, size);
}
