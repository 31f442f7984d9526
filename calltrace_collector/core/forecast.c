/* What a batch is going to do to its thread. */
#include "calltrace_collector/core/forecast.h"

/* The number of open calls, as the events go by. */
struct level {
    int64_t now;
    int64_t lowest;
    int64_t peak;
};

static int check_ticks(struct forecast *forecast, const struct batch *batch)
{
    uint64_t any = 0, wide = 0, sum = batch->base_ticks;
    for (uint32_t i = 0; i < batch->mark_count; i++) {
        if (batch->marks[i].kind != MARK_ELAPSED)
            continue;
        if (__builtin_add_overflow(sum, batch->marks[i].value, &sum))
            return CT_ERANGE;
        wide += batch->marks[i].value > UINT16_MAX;
    }
    for (uint32_t i = 0; i < batch->events; i++) {
        any |= batch->dt[i];
        wide += batch->dt[i] > UINT16_MAX;
    }
    forecast->wide_ticks = wide;
    /* Batches have less than 2^32 events, so that small differences cannot overflow a clock of 2^63. */
    if (any <= INT32_MAX && sum <= INT64_MAX)
        return 0;
    for (uint32_t i = 0; i < batch->events; i++)
        if (__builtin_add_overflow(sum, batch->dt[i], &sum))
            return CT_ERANGE;
    return 0;
}

static int check_sites(struct forecast *forecast, const struct batch *batch, uint32_t site_count)
{
    uint32_t largest = 0, entries = 0;
    for (uint32_t i = 0; i < batch->events; i++) {
        largest = batch->op[i] > largest ? batch->op[i] : largest;
        entries += batch->op[i] != 0;
    }
    forecast->entries = entries;
    forecast->ends = batch->events - entries;
    return largest > site_count ? CT_ERANGE : 0;
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
           (next->kind == MARK_ABANDONED || next->kind == MARK_LOST_EXIT || next->kind == MARK_UNWOUND);
}

static int check_mark(struct forecast *forecast, const struct batch *batch, const struct mark *mark,
                      struct level *level)
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
        return mark->value && ends_calls(batch, mark) ? 0 : CT_ERANGE;
    case MARK_FRAME_DELTA:
        return mark->index < batch->events && batch->op[mark->index] ? 0 : CT_ERANGE;
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
static int check_stack(struct forecast *forecast, const struct batch *batch, struct level *level)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < batch->mark_count; i++) {
        const struct mark *mark = &batch->marks[i];
        if (mark->index < done || mark->index > batch->events)
            return CT_ERANGE;
        follow(level, batch->op, done, mark->index);
        done = mark->index;
        int status = check_mark(forecast, batch, mark, level);
        if (status)
            return status;
    }
    follow(level, batch->op, done, batch->events);
    return level->lowest < 0 ? CT_ESTACK : 0;
}

int forecast_batch(struct forecast *forecast, const struct batch *batch, const struct thread *thread,
                   uint32_t site_count, uint32_t max_open_calls)
{
    struct level level = {thread->depth, thread->depth, thread->depth};

    *forecast = (struct forecast){0};
    if (batch->ring_begin != thread->ring_end || batch->base_ticks != thread->last_ticks)
        return CT_EORDER;
    if (batch->ring_end < batch->ring_begin)
        return CT_ERANGE;
    int status = check_ticks(forecast, batch);
    if (!status)
        status = check_sites(forecast, batch, site_count);
    if (!status)
        status = check_stack(forecast, batch, &level);
    if (status)
        return status;
    if (level.peak > max_open_calls)
        return CT_ELIMIT;
    forecast->peak = (uint32_t)level.peak;
    forecast->lowest = (uint32_t)level.lowest;
    forecast->ends += forecast->forced;
    return 0;
}
