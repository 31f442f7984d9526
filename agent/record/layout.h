/*
 * What lies in a session directory, byte by byte. Written by the agent, read by the agent and, when the
 * process has died, by a collector. Little-endian; every offset is fixed.
 *
 *   session   page 0: struct session_header; then the encoded AgentMessage that describes the process; at
 *             SESSION_CRASH_OFFSET struct crash_slot. SESSION_FILE_BYTES in all.
 *             The agent holds a write lock on it (fcntl, of the open file description) for as long as this
 *             image of the process lives.
 *   ring.N    page 0: struct ring_header; then the ring's words. One file a live thread, reused.
 *   outbox    segments of OUTBOX_SEGMENT_BYTES: struct segment_header, then frames.
 *   crash     struct crash_file_header; then an encoded Crash. Only where the process has crashed.
 */
#ifndef CALLTRACE_RECORD_LAYOUT_H
#define CALLTRACE_RECORD_LAYOUT_H

#include <stdint.h>

#define CALLTRACE_LAYOUT_VERSION 1u
#define CALLTRACE_PAGE 4096u
#define CACHE_LINE 64

/* ---- session ---- */
#define SESSION_MAGIC 0x3153534543415254ull /* "TRACESS1" */
#define SESSION_FILE_BYTES (64u << 10)
#define SESSION_CRASH_OFFSET (SESSION_FILE_BYTES - 2 * CALLTRACE_PAGE)

enum session_state {
    SESSION_RUNNING = 0,
    SESSION_EXITED = 1, /* exit() was called; exit_code and ended_ticks are set */
};

struct session_header {
    uint64_t magic;
    uint32_t version;
    uint32_t pid;
    uint8_t session_id[16];
    uint64_t start_time_jiffies;
    uint64_t process_bytes; /* size of the AgentMessage behind the header's page */
    uint32_t state;
    uint32_t exit_code;
    uint64_t ended_ticks;
    uint64_t ended_monotonic_ns;
    uint64_t ended_realtime_ns;
    char socket_path[112]; /* of the collector that the session belongs to */
};

/* ---- crash ----
 * What the handler of a crash signal writes with plain stores, into memory that outlives the process. Then
 * the flusher, which may do more, writes the file `crash`, with the same and the memory and mappings.
 *
 * The process has crashed when `state` is CRASH_FILLED or CRASH_WRITTEN, and only then: with any other value
 * all else here is void, and so is the file. A file is of this crash when its `number` is the slot's; where
 * there is no such file, or a damaged one, the slot is all that is known. */
enum crash_state {
    CRASH_NONE = 0,    /* none yet; or the program's own handler has dealt with it */
    CRASH_FILLING = 1, /* the handler is writing */
    CRASH_FILLED = 2,  /* all fields are set */
    CRASH_WRITTEN = 3, /* the flusher is done, with or without success */
};

enum crash_flags {
    CRASH_HAS_THREAD = 1, /* `thread` is set: the thread has a ring */
    CRASH_HAS_FXSAVE = 2,
    CRASH_HANDLED = 4,  /* the program had a handler of its own, which was called after this */
    CRASH_HAS_TYPE = 8, /* an exception that nobody caught; exception_type is set */
    CRASH_HAS_WHAT = 16,
};

#define CRASH_GENERAL_REGISTERS 17
#define CRASH_FXSAVE_BYTES 512
#define CRASH_TYPE_BYTES 256
#define CRASH_WHAT_BYTES 1024

struct crash_slot {
    uint32_t state;                            /*   0: enum crash_state; a futex */
    uint32_t number;                           /*   4: counts what was recorded here, from 1 */
    uint32_t flags;                            /*   8: enum crash_flags */
    uint32_t thread;                           /*  12: Thread.number */
    uint32_t tid;                              /*  16 */
    int32_t signal;                            /*  20 */
    int32_t code;                              /*  24: si_code */
    int32_t error_number;                      /*  28: si_errno */
    uint64_t fault_address;                    /*  32: si_addr where the kernel gave one (code > 0), else 0 */
    uint32_t sender_pid;                       /*  40: where a process sent it (code <= 0), else 0 */
    uint32_t sender_user_id;                   /*  44: likewise */
    uint64_t ticks;                            /*  48: the three clocks, as in Clock */
    uint64_t monotonic_ns;                     /*  56 */
    uint64_t realtime_ns;                      /*  64 */
    uint64_t general[CRASH_GENERAL_REGISTERS]; /*  72: rax rdx rcx rbx rsi rdi rbp rsp r8 to r15 rip */
    uint64_t cpu_flags;                        /* 208 */
    uint64_t fs_base;                          /* 216 */
    uint64_t gs_base;                          /* 224 */
    uint64_t segments;                         /* 232: as mcontext_t packs them */
    uint64_t trap_number;                      /* 240 */
    uint64_t trap_error;                       /* 248 */
    uint64_t handler_frame;                    /* 256: stack pointer in the handler; for the agent alone */
    char thread_name[16];                      /* 264: NUL-terminated */
    uint64_t reserved[5];                      /* 280 */
    uint8_t fxsave[CRASH_FXSAVE_BYTES];        /* 320 */
    char exception_type[CRASH_TYPE_BYTES];     /* 832: mangled, NUL-terminated, possibly cut */
    char exception_what[CRASH_WHAT_BYTES];     /* 1088: NUL-terminated, possibly cut */
};

#define CRASH_FILE_MAGIC 0x3148534152435254ull /* "TRCRASH1" */
#define CRASH_FILE_VERSION 1u

struct crash_file_header {
    uint64_t magic;    /*  0 */
    uint32_t version;  /*  8 */
    uint32_t number;   /* 12: crash_slot.number */
    uint64_t size;     /* 16: of the message, which follows the header and ends the file */
    uint32_t crc32c;   /* 24: Castagnoli, over bytes 8 to 23 of this header and the message */
    uint32_t reserved; /* 28 */
};

/* ---- ring ----
 * Positions count 8-byte words since the ring got its thread, and never wrap; a word's place is its
 * position modulo size_words. Words in [tail, head) are records not yet in the outbox. Only the thread
 * moves head, only the flusher moves tail. */
#define RING_MAGIC 0x31474e4952435254ull /* "TRCRING1" */

enum ring_state {
    RING_FREE = 0,
    RING_LIVE = 1,
    RING_ENDED = 2, /* its thread has ended; ended_ticks is set */
};

struct ring_header {
    uint64_t magic;
    uint32_t version;
    uint32_t state;
    uint64_t size_words; /* a power of two */
    uint32_t thread;     /* Thread.number */
    uint32_t tid;
    uint64_t started_ticks;
    uint64_t ended_ticks;
    uint64_t stack_base;
    char name[16];
    uint32_t creator_tid; /* 0: not known */
    _Alignas(CACHE_LINE) uint64_t head;
    uint64_t dropped; /* events, since the ring got its thread */
    _Alignas(CACHE_LINE) uint64_t tail;
    uint32_t wake; /* futex: changes whenever tail does and waiting is not 0 */
    uint32_t waiting;
};

/* ---- record ----
 * An event is two words, an entry and a note three:
 *   word 0   clock ticks
 *   word 1   bits 0-46 the function's address, 47 whether values follow, 48-61 stack pointer bits 4-17, 62-63
 *            the kind
 *   word 2   (entry) bits 0-47 the call site's address, 48-63 stack pointer bits 18-33
 * The stack pointer is the hook's canonical frame address, which is a multiple of 16; that of an exit with
 * values is the one that its program names, if it does (ITEM_FRAME).
 *
 * Where bit 47 of word 1 says so, captured values follow an entry or an exit: a word with their size in bytes
 * in bits 0-15, 4 to CAPTURE_BYTES, in bits 16-31 how many words follow it, and in bits 48-63 stack pointer
 * bits 18-33; then the bytes (capture_program.h); what is left of the words means nothing. */
enum record_kind {
    RECORD_ENTRY = 0,
    RECORD_EXIT = 1,
    /* In bits 0-47 of word 1 how many events have been dropped since the ring got its thread: those that no
     * such record counted before were dropped here, if any. In bits 48-61 how many words follow that mean
     * nothing. */
    RECORD_DROPPED = 2,
    /* No event, but what explains the next ones: bits 0-47 of word 1 are an address, bits 0-7 of word 2 the
     * enum note_kind, and bits 48-63 the stack pointer's as of an entry. */
    RECORD_NOTE = 3,
};

enum note_kind {
    NOTE_RAISE = 1, /* an exception begins to unwind the stack */
    NOTE_FORCED,    /* the stack is being unwound without an exception (pthread_exit, cancellation) */
    NOTE_LAND,      /* it has come to the function with this stack pointer, which cleans up or catches it */
    NOTE_CATCH,     /* the function with this stack pointer has caught it */
    NOTE_JUMP,      /* longjmp to the function with the address as its stack pointer */
    NOTE_STACK,     /* makecontext: a stack begins at the address; its size in 16 bytes is in bits 8-47 */
    NOTE_SWITCH,    /* swapcontext to the stack that the address is on */
};
#define NOTE_KIND_MASK 0xffull
#define NOTE_SIZE_SHIFT 8
#define NOTE_SIZE_UNIT_SHIFT 4

#define RECORD_ADDRESS_BITS 48
#define RECORD_ADDRESS_MASK ((1ull << RECORD_ADDRESS_BITS) - 1)
#define RECORD_KIND_SHIFT 62
#define RECORD_HAS_VALUES (1ull << 47)
#define RECORD_VALUES_WORDS 1u
#define RECORD_VALUES_SIZE_MASK 0xffffull /* of the words, too */
#define RECORD_VALUES_WORDS_SHIFT 16
#define RECORD_SP_LOW_BITS 14
#define RECORD_SP_LOW_MASK ((1ull << RECORD_SP_LOW_BITS) - 1)
#define RECORD_SP_UNIT_SHIFT 4
#define RECORD_ENTRY_WORDS 3u
#define RECORD_EXIT_WORDS 2u
#define RECORD_NOTE_WORDS 3u

/* ---- outbox ---- */
#define OUTBOX_SEGMENT_BYTES (4u << 20)
#define OUTBOX_MAX_SEGMENTS 1024u
#define SEGMENT_MAGIC 0x3147455354554f42ull /* "BOUTSEG1" */

struct segment_header {
    uint64_t magic;
    uint64_t first_sequence; /* of the first frame; 0: the segment is free */
    uint64_t last_sequence;  /* of the last whole frame */
    uint64_t end;            /* offset in the segment behind the last whole frame */
    uint64_t reserved[4];
};

/* A frame is this header, `size` bytes of an AgentMessage, and zero bytes up to a multiple of 8. */
struct frame_header {
    uint32_t size;
    uint32_t crc32c; /* Castagnoli, over the sequence number and the message */
    uint64_t sequence;
};

#endif
