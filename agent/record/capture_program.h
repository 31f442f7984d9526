/*
 * What a hook's capture program is, byte by byte, and what it leaves behind. Made by the collector
 * (calltrace_collector/capture/plan/program.py), run by the agent.
 *
 * A program is items, one behind the other; where nothing can be captured, none. An item is a kind, what that
 * kind takes, and expressions:
 *
 *   VALUE   u8 size (1 to 16); one expression for each 8 bytes begun, lowest first
 *   MEMORY  u16 size (1 to CAPTURE_MEMORY_BYTES); expression: the address
 *   TEXT    expression: the address of a string that a zero byte ends
 *   STRING  expression: the address; expression: how many bytes
 *   FRAME   expression: of an exit whose hook has another stack pointer than the call's entry hook had
 *           (alloca), the latter; as the first item only
 *
 * An expression works on a stack of 64-bit numbers, at most CAPTURE_DEPTH deep; OP_END leaves the topmost as
 * its result. Numbers in a program are little-endian; i8, i32, i64 are signed.
 *
 * What each item leaves, behind the layout's number (u32):
 *
 *   VALUE, MEMORY   u8 status; with CAPTURE_OK `size` bytes
 *   TEXT, STRING    u8 status; with CAPTURE_OK or CAPTURE_CUT a u16 and so many bytes, without the zero
 *   FRAME           nothing
 */
#ifndef CALLTRACE_RECORD_CAPTURE_PROGRAM_H
#define CALLTRACE_RECORD_CAPTURE_PROGRAM_H

#define CAPTURE_MEMORY_BYTES 1024 /* of one item */
#define CAPTURE_BYTES 4096        /* that a program leaves at most, the layout's number included */
#define CAPTURE_TEXT_BYTES 1024   /* of a string at most */
#define CAPTURE_DEPTH 32
#define CAPTURE_PROGRAM_BYTES 8192 /* of a program at most */

enum capture_item {
    ITEM_VALUE = 1,
    ITEM_MEMORY,
    ITEM_TEXT,
    ITEM_STRING,
    ITEM_FRAME,
};

enum capture_status {
    CAPTURE_OK = 0,
    CAPTURE_CUT,        /* a string that is longer than the limit */
    CAPTURE_NULL,       /* the address is 0 */
    CAPTURE_UNREADABLE, /* the address, or one that the expression loads from, is not mapped */
    CAPTURE_NO_ROOM,    /* CAPTURE_BYTES are used up */
};

enum capture_op {
    OP_END = 0,
    /* Push. */
    OP_REGISTER, /* u8: by DWARF number, 0 to 15, as it is where the hook is called (rsp: behind the call) */
    OP_XMM,      /* u8: number * 2, + 1 for the upper half; 0 to 15 */
    OP_CONST8,   /* i8 */
    OP_CONST32,  /* i32 */
    OP_CONST64,  /* i64 */
    OP_IMAGE,    /* i64: added to the module's load bias */
    /* Replace the topmost. */
    OP_LOAD, /* u8 size 1, 2, 4 or 8: what lies at that address, zero-extended */
    OP_ZERO, /* u8 size 1, 2, 4: zero-extended from so many bytes */
    OP_SIGN, /* u8 size 1, 2, 4: sign-extended */
    OP_NOT,
    OP_NEGATE,
    /* Replace the two topmost, a and b (the topmost), by a OP b. Shifts take b modulo 64. */
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_SHIFT_LEFT,
    OP_SHIFT_RIGHT,
    OP_SHIFT_SIGNED,
    /* Compare: 1 or 0. */
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_BELOW, /* unsigned */
    OP_BELOW_EQUAL,
    /* Replace the three topmost, c, a and b (the topmost): a if c is not 0, else b. */
    OP_SELECT,
    /* a with its lowest bytes replaced by b's. */
    OP_INSERT, /* u8 size 1, 2, 4 */
    /* Floating point, as the processor does it, with the rounding that the program has set: D is double, F
     * float, which lies in the lowest 4 bytes (of the result, the others are 0). */
    OP_ADD_D,
    OP_SUBTRACT_D,
    OP_MULTIPLY_D,
    OP_DIVIDE_D,
    OP_ADD_F,
    OP_SUBTRACT_F,
    OP_MULTIPLY_F,
    OP_DIVIDE_F,
    OP_F_TO_D,
    OP_D_TO_F,
    OP_I64_TO_D,
    OP_I64_TO_F,
    OP_I32_TO_D,
    OP_I32_TO_F,
    OP_D_TO_I64, /* towards zero, as cvttsd2si */
    OP_F_TO_I64,
    OP_D_TO_I32, /* zero-extended */
    OP_F_TO_I32,
    OP_COUNT,
};

#endif
