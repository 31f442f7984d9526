/*
 * The interface of the C core, as cffi reads it (no preprocessor here) and as core.h includes it.
 *
 * One ct_trace holds what the collector knows of one traced process while it runs: its sites, and for
 * each thread the stack of open calls, the chunk being filled and the profile. Bytes from outside go in
 * through ct_message_peek and ct_trace_feed; both check everything and apply all of it or nothing.
 * Functions return 0 or a count, or one of the negative CT_E... codes; ct_error_text says them in words.
 *
 * A ct_trace is used by one thread at a time. All times are clock ticks of the traced process.
 */

/* ---- errors ---- */
enum {
    CT_ENOMEM = -1,     /* out of memory */
    CT_EMALFORMED = -2, /* not valid protobuf, or a column of the wrong length */
    CT_ERANGE = -3,     /* a number that names nothing: thread, site, mark, position */
    CT_ESTACK = -4,     /* an exit or a mark that does not fit the stack of open calls */
    CT_ELIMIT = -5,     /* more threads, sites, functions or open calls than ct_limits allows */
    CT_EORDER = -6      /* a batch that does not follow the thread's previous one */
};
const char *ct_error_text(int code);

/* ---- wire ---- */
struct ct_message {
    uint64_t sequence;
    uint32_t body_field; /* field number of AgentMessage.body, 0: none */
    uint32_t reserved;
    uint64_t body_offset; /* of the body's bytes within the message */
    uint64_t body_size;
};
/* Finds sequence number and body of an encoded AgentMessage. */
int ct_message_peek(const uint8_t *message, size_t size, struct ct_message *out);

/* ---- one traced process ---- */
struct ct_limits {
    uint32_t threads;
    uint32_t sites;
    uint32_t functions;
    uint32_t open_calls;   /* on one thread's stack */
    uint32_t contexts;     /* nodes of one thread's calling-context tree; beyond, new contexts are folded
                              into the node of their caller's and counted in ct_thread_state.folded */
    uint32_t chunk_rows;   /* rows at which a chunk ends; 0: CT_CHUNK_ROWS, which is also the most */
    uint32_t keep_rows;    /* rows from which ct_trace_flush ends a chunk; 0: CT_CHUNK_KEEP_ROWS */
    uint32_t chunk_values; /* bytes of captured values at which a chunk ends; 0: CT_CHUNK_VALUES */
    uint32_t keep_values;  /* and from which ct_trace_flush ends it; 0: CT_CHUNK_KEEP_VALUES */
};
struct ct_trace;
struct ct_trace *ct_trace_new(const struct ct_limits *limits); /* NULL: out of memory */
void ct_trace_free(struct ct_trace *trace);

/* Makes a thread known before its first batch; again with the same number: no change. */
int ct_thread_declare(struct ct_trace *trace, uint32_t thread, uint64_t started_ticks, uint64_t stack_base);

/* Applies one encoded EventBatch. Returns the number of events, or an error with nothing applied. */
int64_t ct_trace_feed(struct ct_trace *trace, const uint8_t *batch, size_t size);

/* ---- sites and functions ----
 * Functions are numbered 0, 1, 2, ... by address. After ct_trace_forget_addresses (a module was
 * unloaded), an address seen before gets a new function number. */
struct ct_site {
    uint64_t function_address;
    uint64_t call_site_address;
    int64_t frame_delta_bytes;
    uint32_t function;
    uint32_t reserved;
};
uint32_t ct_trace_site_count(const struct ct_trace *trace);
uint32_t ct_trace_function_count(const struct ct_trace *trace);
/* Copies sites first ... first + count - 1. */
int ct_trace_sites(const struct ct_trace *trace, uint32_t first, uint32_t count, struct ct_site *out);
/* Appends sites that an earlier collector stored, in order, with their function numbers. */
int ct_trace_restore_sites(struct ct_trace *trace, const struct ct_site *sites, uint32_t count);
void ct_trace_forget_addresses(struct ct_trace *trace);

/* ---- threads ---- */
struct ct_thread_state {
    uint64_t calls;      /* entries so far; the calls are numbered 1 ... calls */
    uint64_t last_ticks; /* of the thread's last event, on any of its stacks */
    uint64_t ring_end;   /* position behind the last batch */
    uint64_t stack_base;
    uint64_t dropped; /* sums of the marks */
    uint64_t orphan_exits;
    uint64_t cut;
    uint64_t folded;       /* calls counted in their caller's context because of ct_limits.contexts */
    uint32_t depth;        /* number of open calls */
    uint32_t changed_from; /* the open calls below this depth are as at the last ct_thread_clean */
    uint32_t next_chunk;   /* number that the next new chunk gets */
    uint32_t is_dirty;     /* anything changed since the last ct_thread_clean */
};
/* An open call. */
struct ct_frame {
    uint64_t call;
    uint64_t start_ticks;
    uint64_t child_ticks; /* time in its completed callees */
    uint64_t stack_pointer;
    uint32_t site;
    uint32_t flags; /* 1: callees were cut by the depth limit */
};
/* Stacks that batches have brought: they are declared as threads, which started at the batch's base_ticks. */
struct ct_stack {
    uint32_t thread;
    uint32_t owner; /* the thread that switches to it */
    uint64_t started_ticks;
    uint64_t stack_base;
    uint64_t size_bytes;
};
uint32_t ct_trace_stack_count(const struct ct_trace *trace);
/* Takes the oldest `count` stacks not taken, or all that there are. Returns how many. */
uint32_t ct_trace_take_stacks(struct ct_trace *trace, uint32_t count, struct ct_stack *out);
/* Says again of a declared thread that it is a stack of another one, after a restart. */
int ct_thread_set_owner(struct ct_trace *trace, uint32_t thread, uint32_t owner);
uint32_t ct_trace_thread_count(const struct ct_trace *trace); /* highest declared number + 1 */
/* CT_ERANGE: not declared. */
int ct_thread_state(const struct ct_trace *trace, uint32_t thread, struct ct_thread_state *out);
/* Copies the open calls at depths first ... first + count - 1 (0 is the outermost). */
int ct_thread_frames(const struct ct_trace *trace, uint32_t thread, uint32_t first, uint32_t count,
                     struct ct_frame *out);
/* Marks the thread's state as stored. */
int ct_thread_clean(struct ct_trace *trace, uint32_t thread);
/* Frees what is known of a thread that has ended. Its number is not declared any more. CT_EORDER: something
 * of it has not been stored. */
int ct_thread_forget(struct ct_trace *trace, uint32_t thread);
/* Puts a declared, unused thread into the state that an earlier collector stored: stack, profile. */
int ct_thread_restore(struct ct_trace *trace, uint32_t thread, const struct ct_thread_state *state,
                      const struct ct_frame *frames, const uint8_t *profile, size_t profile_size);

/* ---- chunks: completed calls as columns ----
 * A call that is entered gets a row in its thread's growing chunk; at its exit the row is completed. A
 * chunk ends at ct_limits.chunk_rows rows, or ct_limits.chunk_values bytes of captured values. Rows of calls
 * still open stay in it as open rows (status CT_OPEN, no duration), and when such a call ends, a late row in
 * the then growing chunk holds all of it. The rows of a chunk are sorted by call number: first the late rows,
 * then the calls entered while it grew, whose numbers are consecutive. */
enum { CT_CHUNK_ROWS = 65536, CT_CHUNK_KEEP_ROWS = 8192 };
enum { CT_CHUNK_VALUES = 4194304, CT_CHUNK_KEEP_VALUES = 524288 };
enum { CT_VALUE_BYTES = 4096 }; /* captured at one event, at most */
enum {
    CT_RETURNED = 0,
    CT_UNWOUND = 1,   /* by an exception */
    CT_ABANDONED = 2, /* by longjmp, or no exit seen */
    CT_OPEN = 3,
    CT_CRASHED = 4,
    CT_CUT = 5, /* returned; calls beneath it were cut by the depth limit */
    CT_LOST = 6 /* its exit was among dropped events */
};
struct ct_chunk {
    uint32_t thread;
    uint32_t number; /* 0, 1, 2, ... within the thread */
    uint32_t rows;   /* all, late ones included */
    uint32_t late_rows;
    uint32_t open_rows;
    uint32_t is_final;  /* 0: will be exported again under the same number, with more rows */
    uint32_t min_depth; /* over all rows; depth 0 is a thread's outermost call */
    uint32_t max_depth;
    uint64_t first_call;      /* of the rows that are not late; their numbers are consecutive. 0: none */
    uint64_t late_first_call; /* smallest and largest call number of the late rows; 0: none */
    uint64_t late_last_call;
    uint64_t base_call;   /* call number of the parent of the shallowest rows; 0: they are outermost */
    uint64_t start_ticks; /* smallest start and largest end (or start of an open row) */
    uint64_t end_ticks;
    const uint8_t *columns; /* encoded, not compressed; valid until ct_trace_drop_chunk */
    uint64_t columns_size;
    uint32_t functions; /* length of the three arrays: one row for each function among completed rows */
    uint32_t reserved;
    const uint32_t *function;
    const uint32_t *function_calls;
    const uint64_t *function_max_ticks; /* longest duration */
    const uint8_t *values; /* captured at the calls' entries and ends, encoded; valid as columns are */
    uint64_t values_size;  /* 0: none were */
};
/* Exports the growing chunks of all threads that changed since the last call: a chunk of at least
 * ct_limits.keep_rows rows, or ct_limits.keep_values bytes of values, is made final, a smaller one goes on
 * growing. Full chunks are exported by ct_trace_feed itself. */
int ct_trace_flush(struct ct_trace *trace);
/* Bytes held by chunks not yet dropped. */
uint64_t ct_trace_pending_bytes(const struct ct_trace *trace);
/* The oldest exported chunk: 1 when there is one, 0 when there is none. */
int ct_trace_first_chunk(struct ct_trace *trace, struct ct_chunk *out);
/* Frees the oldest exported chunk. */
void ct_trace_drop_chunk(struct ct_trace *trace);

/* A chunk's columns, decoded; arrays of `rows` elements given by the caller. parent 0: outermost. For an
 * open row duration and self are 0. self is the duration less that of the callees. */
struct ct_rows {
    uint64_t *call;
    uint64_t *parent;
    uint32_t *site;
    uint32_t *depth;
    uint64_t *start_ticks;
    uint64_t *duration_ticks;
    uint64_t *self_ticks;
    uint8_t *status;
};
/* Which of the chunk's events (values.h) each row's entry and end are, or CT_NO_EVENT: they are none of its.
 */
struct ct_row_events {
    uint32_t *entry;
    uint32_t *end;
};
enum { CT_NO_EVENT = 4294967295 };
/* `chunk` gives rows, late_rows, first_call, base_call; columns are untrusted. `events` NULL: not wanted. */
int ct_chunk_decode(const struct ct_chunk *chunk, const uint8_t *columns, size_t size, struct ct_rows *out,
                    struct ct_row_events *events);

/* Finds the values of the events 0 ... events - 1 of a chunk: their places in `values` and their sizes, 0:
 * none. `values` are untrusted. */
int ct_values_decode(const uint8_t *values, size_t size, uint32_t events, uint32_t *starts, uint32_t *sizes);

/* ---- losses: where the trace has gaps ---- */
struct ct_loss {
    uint32_t thread;
    uint32_t kind; /* Mark.Kind: DROPPED or ORPHAN_EXIT */
    uint64_t call; /* number of the innermost open call at that moment, 0: none */
    uint64_t ticks;
    uint64_t count; /* events dropped; for ORPHAN_EXIT the function's address */
};
/* Takes the oldest `count` losses not taken, or all that there are. Returns how many. At most CT_LOSSES are
 * kept; the sums in ct_thread_state are always exact. */
enum { CT_LOSSES = 65536 };
uint32_t ct_trace_take_losses(struct ct_trace *trace, uint32_t count, struct ct_loss *out);
uint32_t ct_trace_loss_count(const struct ct_trace *trace);

/* ---- profile: exact sums over all calls of a thread ----
 * Contexts are the nodes of the calling-context tree, by function (not by site); node 0 is the root,
 * which stands for the thread; a parent's number is smaller than its children's. */
struct ct_context {
    uint32_t parent;
    uint32_t function;
    uint64_t calls;       /* entered */
    uint64_t total_ticks; /* of completed calls, callees included */
    uint64_t self_ticks;
};
struct ct_function {
    uint32_t function;
    uint32_t buckets; /* number of histogram buckets that follow in the bucket arrays */
    uint64_t calls;   /* entered */
    uint64_t completed;
    uint64_t total_ticks; /* of completed outermost activations: recursion is counted once */
    uint64_t self_ticks;
    uint64_t min_ticks; /* durations of completed calls, recursive ones included */
    uint64_t max_ticks;
};
/* Encodes a thread's profile (not compressed). Returns its size; the bytes stay valid until the next call
 * with the same trace. */
int64_t ct_thread_profile(struct ct_trace *trace, uint32_t thread, const uint8_t **bytes);
/* How many elements the arrays for ct_profile_decode need. */
struct ct_profile_size {
    uint32_t contexts;
    uint32_t functions;
    uint32_t buckets; /* over all functions */
    uint32_t reserved;
};
int ct_profile_size(const uint8_t *profile, size_t size, struct ct_profile_size *out);
/* Durations are counted in buckets of less than 1/16 relative width: bucket_low[i] is the smallest
 * duration of bucket i, bucket_calls[i] its count; a function's buckets stand together, ascending. */
int ct_profile_decode(const uint8_t *profile, size_t size, struct ct_context *contexts,
                      struct ct_function *functions, uint64_t *bucket_low, uint64_t *bucket_calls);

/* ---- recovery: the records that a dead process left in a ring ----
 * Encodes them as the process's own agent would have, into EventBatch messages for ct_trace_feed. */
struct ct_recovery;
struct ct_open_call {
    uint64_t function_address;
    uint64_t call_site_address;
    uint64_t stack_pointer;
};
struct ct_ring {
    const uint64_t *words;
    uint64_t size_words; /* a power of two */
    uint64_t begin;      /* positions of the first record and behind the last */
    uint64_t end;
    uint64_t dropped_before; /* events dropped: as the batches before have told, */
    uint64_t dropped;        /* and in all */
};
/* `first_site` is the number that the next new site gets, `next_thread` that of the next new stack,
 * `max_depth` 0 for no limit. NULL: out of memory. */
struct ct_recovery *ct_recovery_new(uint32_t first_site, uint32_t next_thread, uint32_t max_depth);
void ct_recovery_free(struct ct_recovery *recovery);
/* Begins a thread's ring. `open_calls` are those before the first record, outermost first. */
int ct_recovery_begin(struct ct_recovery *recovery, uint32_t thread, uint64_t last_ticks, uint64_t stack_base,
                      const struct ct_open_call *open_calls, uint32_t depth, const struct ct_ring *ring);
/* Tells of another stack of the thread, after those with smaller numbers. */
int ct_recovery_add_stack(struct ct_recovery *recovery, uint32_t number, uint64_t stack_base, uint64_t bytes,
                          const struct ct_open_call *open_calls, uint32_t depth);
/* Writes the next EventBatch into a buffer of CT_RECOVERY_BYTES. Returns its size, 0 at the end of the ring,
 * or an error. What cannot be a record counts as one dropped event, and ends the ring. */
enum { CT_RECOVERY_BYTES = 262144 };
int64_t ct_recovery_next(struct ct_recovery *recovery, uint8_t *batch);

/* CRC-32C of `size` bytes, as in the outbox's frames. */
uint32_t ct_crc32c(const uint8_t *bytes, size_t size);
