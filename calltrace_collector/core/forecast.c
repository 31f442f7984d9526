/* What a batch is going to do. */
#include "calltrace_collector/core/forecast.h"

#include "calltrace_collector/core/trace.h"

/* The clock does not overflow. */
static int check_clock(const struct batch *batch)
{
    uint64_t any = 0, sum = batch->base_ticks;
    for (uint32_t i = 0; i < batch->mark_count; i++)
        if (batch->marks[i].kind == MARK_ELAPSED && __builtin_add_overflow(sum, batch->marks[i].value, &sum))
            return CT_ERANGE;
    for (uint32_t i = 0; i < batch->events; i++)
        any |= batch->dt[i];
    /* Batches have less than 2^32 events, so that small differences cannot overflow a clock of 2^63. */
    if (any <= INT32_MAX && sum <= INT64_MAX)
        return 0;
    for (uint32_t i = 0; i < batch->events; i++)
        if (__builtin_add_overflow(sum, batch->dt[i], &sum))
            return CT_ERANGE;
    return 0;
}

static int count_events(struct forecast *forecast, const struct batch *batch, const struct segment *segment,
                        uint32_t site_count)
{
    uint32_t largest = 0, entries = 0;
    uint64_t wide = 0;
    for (uint32_t i = segment->from; i < segment->to; i++)
        wide += batch->dt[i] > UINT16_MAX;
    for (uint32_t i = segment->from; i < segment->to; i++) {
        largest = batch->op[i] > largest ? batch->op[i] : largest;
        entries += batch->op[i] != 0;
    }
    forecast->wide_ticks += wide + 1; /* the first, for the time on other stacks */
    forecast->entries += entries;
    forecast->ends += segment->to - segment->from - entries;
    return largest > site_count ? CT_ERANGE : 0;
}

static void count_values(struct forecast *forecast, const struct batch *batch, const struct segment *segment)
{
    for (uint32_t i = segment->from; i < segment->to; i++) {
        uint32_t size = batch->value_starts[i + 1] - batch->value_starts[i];
        forecast->value_bytes += size ? size + VALUES_EVENT_BYTES : 0;
    }
}

static void follow(struct level *level, const uint32_t *op, uint32_t from, uint32_t to)
{
    int64_t now = level->now, lowest = level->lowest, peak = level->peak;
    for (uint32_t i = from; i < to; i++) {
        now += -(int64_t)(op[i] == 0) | 1; /* no branch: nobody could foretell it */
        lowest = now < lowest ? now : lowest;
        peak = now > peak ? now : peak;
    }
    *level = (struct level){now, lowest, peak};
}

/* Whether the mark after this one says what ended here. */
static bool ends_calls(const struct batch *batch, const struct mark *mark)
{
    const struct mark *next = mark + 1;
    return next < batch->marks + batch->mark_count && next->index == mark->index &&
           (mark_ends_calls(next) || next->kind == MARK_ORPHAN_EXIT);
}

/* `to` is where the mark's segment ends. */
static int check_mark(struct forecast *forecast, const struct batch *batch, const struct mark *mark,
                      struct level *level, uint32_t to)
{
    switch (mark->kind) {
    case MARK_ABANDONED:
    case MARK_LOST_EXIT:
    case MARK_UNWOUND:
        if (mark->value == 0)
            return CT_ERANGE;
        if (level->lowest < 0 || mark->value > (uint64_t)level->now)
            return CT_ESTACK;
        level->now -= (int64_t)mark->value;
        level->lowest = level->now < level->lowest ? level->now : level->lowest;
        forecast->forced += mark->value;
        return 0;
    case MARK_ELAPSED:
        forecast->wide_ticks++;
        return mark->value && ends_calls(batch, mark) ? 0 : CT_ERANGE;
    case MARK_FRAME_DELTA:
        return mark->index < to && batch->op[mark->index] ? 0 : CT_ERANGE;
    case MARK_ORPHAN_EXIT:
        forecast->losses++;
        return 0;
    case MARK_DROPPED:
        forecast->losses++;
        return mark->value ? 0 : CT_ERANGE;
    case MARK_CUT:
        forecast->cuts++;
        return mark->value ? 0 : CT_ERANGE;
    default:
        return CT_ERANGE;
    }
}

/* Events and marks in their order. */
static int check_segment(struct part *part, const struct batch *batch, const struct segment *segment,
                         uint32_t site_count)
{
    uint32_t done = segment->from;
    int status = count_events(&part->forecast, batch, segment, site_count);
    if (batch->values)
        count_values(&part->forecast, batch, segment);
    for (uint32_t i = segment->marks; !status && i < segment->marks_end; i++) {
        const struct mark *mark = &batch->marks[i];
        follow(&part->level, batch->op, done, mark->index);
        done = mark->index;
        status = check_mark(&part->forecast, batch, mark, &part->level, segment->to);
    }
    if (status)
        return status;
    follow(&part->level, batch->op, done, segment->to);
    return part->level.lowest < 0 ? CT_ESTACK : 0;
}

int forecast_batch(struct ct_trace *trace, const struct thread *owner, uint32_t site_count)
{
    const struct batch *batch = &trace->batch;
    const struct parts *parts = &trace->parts;
    if (batch->ring_begin != owner->ring_end || batch->base_ticks != owner->stream_ticks)
        return CT_EORDER;
    if (batch->ring_end < batch->ring_begin)
        return CT_ERANGE;
    int status = check_clock(batch);
    for (uint32_t i = 0; !status && i < parts->segment_count; i++)
        status =
            check_segment(&parts->parts[parts->segments[i].part], batch, &parts->segments[i], site_count);
    for (uint32_t i = 0; !status && i < parts->part_count; i++) {
        struct part *part = &parts->parts[i];
        if (part->thread->last_ticks > batch->base_ticks)
            return CT_EORDER;
        if (part->level.peak > trace->limits.open_calls)
            return CT_ELIMIT;
        part->forecast.ends += part->forecast.forced;
    }
    return status;
}
