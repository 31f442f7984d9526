#include <errno.h>
#include <stdbool.h>

#include "agent/record/capture_run.h"

/* What is behind an operation's number, and how many numbers it takes and leaves. */
enum follows { NOTHING, REGISTER_NUMBER, SIZE_TO_4, SIZE_TO_8, BYTES_1, BYTES_4, BYTES_8 };

struct operation {
    uint8_t follows;
    uint8_t takes;
};

static const struct operation operations[OP_COUNT] = {
    [OP_REGISTER] = {REGISTER_NUMBER, 0},
    [OP_XMM] = {REGISTER_NUMBER, 0},
    [OP_CONST8] = {BYTES_1, 0},
    [OP_CONST32] = {BYTES_4, 0},
    [OP_CONST64] = {BYTES_8, 0},
    [OP_IMAGE] = {BYTES_8, 0},
    [OP_LOAD] = {SIZE_TO_8, 1},
    [OP_ZERO] = {SIZE_TO_4, 1},
    [OP_SIGN] = {SIZE_TO_4, 1},
    [OP_NOT] = {NOTHING, 1},
    [OP_NEGATE] = {NOTHING, 1},
    [OP_ADD... OP_BELOW_EQUAL] = {NOTHING, 2},
    [OP_SELECT] = {NOTHING, 3},
    [OP_INSERT] = {SIZE_TO_4, 2},
    [OP_ADD_D... OP_DIVIDE_F] = {NOTHING, 2},
    [OP_F_TO_D... OP_F_TO_I32] = {NOTHING, 1},
};

struct reader {
    const uint8_t *at, *end;
};

static bool take(struct reader *r, size_t size, uint32_t *value)
{
    *value = 0;
    if ((size_t)(r->end - r->at) < size)
        return false;
    for (size_t i = 0; i < size && i < sizeof *value; i++)
        *value |= (uint32_t)r->at[i] << 8 * i;
    r->at += size;
    return true;
}

static bool check_operand(struct reader *r, enum follows follows)
{
    static const uint8_t sizes[] = {[BYTES_1] = 1, [BYTES_4] = 4, [BYTES_8] = 8};
    uint32_t value;
    switch (follows) {
    case NOTHING:
        return true;
    case REGISTER_NUMBER:
        return take(r, 1, &value) && value < 16;
    case SIZE_TO_4:
        return take(r, 1, &value) && (value == 1 || value == 2 || value == 4);
    case SIZE_TO_8:
        return take(r, 1, &value) && (value == 1 || value == 2 || value == 4 || value == 8);
    default:
        return take(r, sizes[follows], &value);
    }
}

static bool check_expression(struct reader *r)
{
    uint32_t op, depth = 0;
    while (take(r, 1, &op) && op < OP_COUNT) {
        if (op == OP_END)
            return depth == 1;
        const struct operation *operation = &operations[op];
        if (depth < operation->takes || !check_operand(r, (enum follows)operation->follows))
            return false;
        depth = depth - operation->takes + 1;
        if (depth > CAPTURE_DEPTH)
            return false;
    }
    return false;
}

static bool check_expressions(struct reader *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!check_expression(r))
            return false;
    return true;
}

/* Returns the most bytes that the next item needs; 0: it is none. */
static uint32_t check_item(struct reader *r, uint32_t text_limit, bool is_first)
{
    uint32_t kind, size;
    if (!take(r, 1, &kind))
        return 0;
    switch (kind) {
    case ITEM_VALUE:
        if (!take(r, 1, &size) || size == 0 || size > 16)
            return 0;
        return check_expressions(r, (size + 7) / 8) ? 1 + size : 0;
    case ITEM_MEMORY:
        if (!take(r, 2, &size) || size == 0 || size > CAPTURE_MEMORY_BYTES)
            return 0;
        return check_expressions(r, 1) ? 1 + size : 0;
    case ITEM_TEXT:
        return check_expressions(r, 1) ? 3 + text_limit : 0;
    case ITEM_STRING:
        return check_expressions(r, 2) ? 3 + text_limit : 0;
    case ITEM_FRAME:
        return is_first && check_expressions(r, 1) ? 1 : 0;
    default:
        return 0;
    }
}

int capture_check(struct capture_hook *hook, uint32_t text_limit)
{
    struct reader r = {hook->program, hook->program + hook->size};
    uint32_t items = 0, bytes = sizeof hook->layout;
    if (hook->size > CAPTURE_PROGRAM_BYTES || text_limit > CAPTURE_TEXT_BYTES)
        return -EINVAL;
    while (r.at != r.end) {
        uint32_t most = check_item(&r, text_limit, items == 0);
        if (most == 0 || ++items > CAPTURE_MOST_ITEMS)
            return -EINVAL;
        bytes += most;
    }
    hook->items = (uint16_t)items;
    /* Values are written by whole words, and a text is read with a byte more than is kept of it. */
    hook->room = (uint16_t)((bytes < CAPTURE_BYTES ? bytes : CAPTURE_BYTES) + 2 * sizeof(uint64_t));
    return 0;
}
