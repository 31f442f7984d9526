#include "agent/ship/crash_report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/life/crash.h"
#include "agent/life/futex.h"
#include "agent/life/maps.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/ship/crc32c.h"
#include "agent/ship/messages.h"
#include "agent/ship/utf8.h"

#define RED_ZONE_BYTES 128
#define STACK_BYTES (256u << 10)
#define STACK_END_BYTES (64u << 10)
#define CODE_BYTES 64
#define MAPS_BYTES (256u << 10)
#define ABORT_MESSAGE_BYTES 4096
#define MESSAGE_BYTES (2 * STACK_BYTES + 2 * STACK_END_BYTES + MAPS_BYTES + (32u << 10))
#define SCRATCH_BYTES (STACK_BYTES + CALLTRACE_PAGE)
#define MOST_RANGES 5
#define ADDRESS_END (1ull << 47)

enum { STACK_POINTER = 7, INSTRUCTION_POINTER = 16 };

/* Fields of Crash, Registers, MemoryRange and UncaughtException. */
enum {
    HAS_THREAD = 1,
    THREAD,
    TID,
    THREAD_NAME,
    SIGNAL,
    CODE,
    ERROR_NUMBER,
    FAULT_ADDRESS,
    SENDER_PID,
    SENDER_USER_ID,
    CLOCK,
    REGISTERS,
    MEMORY,
    MAPS,
    MAPS_CUT,
    MEMORY_CUT,
    HANDLED,
    EXCEPTION,
    ABORT_MESSAGE,
    INCOMPLETE,
    TRAP_NUMBER,
    TRAP_ERROR
};
enum { GENERAL = 1, FLAGS, FS_BASE, GS_BASE, SEGMENTS, FXSAVE };
enum { ADDRESS = 1, CONTENT };
enum { TYPE_NAME = 1, HAS_WHAT, WHAT };

int crash_report_open(struct crash_report *r, const struct session *session, const struct roster *roster,
                      const struct modules *modules)
{
    *r = (struct crash_report){
        .slot = session->crash,
        .roster = roster,
        .directory = session->directory,
        .memory_fd = modules->memory_fd,
        .maps_fd = modules->maps_fd,
    };
    uint8_t *memory = memory_get(MESSAGE_BYTES + SCRATCH_BYTES); /* used when it is touched */
    if (memory == NULL)
        return -ENOMEM;
    r->message = memory;
    r->scratch = memory + MESSAGE_BYTES;
    return 0;
}

/* ---- the program's memory ---- */

struct range {
    uint64_t begin, end;
};

struct ranges {
    struct range list[MOST_RANGES]; /* lowest address first */
    size_t count;
    bool cut;
};

static void add_range(struct ranges *ranges, uint64_t begin, uint64_t end)
{
    if (begin >= end || end > ADDRESS_END || ranges->count == MOST_RANGES)
        return;
    size_t i = ranges->count++;
    for (; i > 0 && ranges->list[i - 1].begin > begin; i--)
        ranges->list[i] = ranges->list[i - 1];
    ranges->list[i] = (struct range){begin, end};
}

static long read_memory(const struct crash_report *r, uint64_t address, void *to, size_t size)
{
    return sys_call6(SYS_pread64, r->memory_fd, (long)to, (long)size, (long)address, 0, 0);
}

/* Reads up to the first page that is not there, passing over one such page at the beginning. Returns the
 * bytes read, with `begin` where they lie. */
static size_t read_range(const struct crash_report *r, struct range *range)
{
    size_t length = 0;
    for (int skipped = 0; skipped < 2 && length == 0; skipped++) {
        while (range->begin + length < range->end) {
            long got = read_memory(r, range->begin + length, r->scratch + length,
                                   range->end - range->begin - length);
            if (got <= 0)
                break;
            length += (size_t)got;
        }
        if (length == 0)
            range->begin = (range->begin | (CALLTRACE_PAGE - 1)) + 1;
    }
    return length;
}

/* The mapping that the stack pointer is in, or, where it has run out of its stack, the one above. */
static bool find_stack(const struct crash_report *r, uint64_t stack_pointer, struct range *stack)
{
    struct maps_reader reader;
    struct mapping mapping;
    if (maps_begin(&reader, r->maps_fd) < 0)
        return false;
    while (maps_next(&reader, &mapping) > 0) {
        if (mapping.end <= stack_pointer || !mapping.readable)
            continue;
        *stack = (struct range){mapping.start, mapping.end};
        return true;
    }
    return false;
}

static const struct roster_place *find_place(const struct roster *roster, uint32_t tid)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_place *place = &roster->places[i];
        if (place->taken && place->ring->tid == tid &&
            __atomic_load_n(&place->ring->state, __ATOMIC_ACQUIRE) == RING_LIVE)
            return place;
    }
    return NULL;
}

/* The innermost frames, and the outermost where there are many. */
static void add_stack(const struct crash_report *r, struct ranges *ranges, uint64_t stack_pointer,
                      uint64_t stack_base)
{
    struct range stack;
    if (stack_pointer < RED_ZONE_BYTES || !find_stack(r, stack_pointer, &stack))
        return;
    if (stack_base > stack.begin && stack_base < stack.end && stack_base > stack_pointer)
        stack.end = (stack_base | (CALLTRACE_PAGE - 1)) + 1;
    uint64_t begin = stack_pointer - RED_ZONE_BYTES;
    if (begin < stack.begin)
        begin = stack.begin;
    if (stack.end - begin <= STACK_BYTES) {
        add_range(ranges, begin, stack.end);
        return;
    }
    uint64_t first_end = begin + STACK_BYTES;
    uint64_t last_begin = stack.end - STACK_END_BYTES;
    ranges->cut |= last_begin > first_end;
    add_range(ranges, begin, first_end);
    add_range(ranges, last_begin > first_end ? last_begin : first_end, stack.end);
}

static void put_ranges(struct crash_report *r, struct proto *p, struct ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        struct range *range = &ranges->list[i];
        size_t length = read_range(r, range);
        if (length == 0)
            continue;
        size_t body = 1 + sizeof range->begin + 1 + varint_bytes(length) + length;
        proto_tag(p, MEMORY, WIRE_BYTES);
        proto_varint(p, body);
        proto_fixed64(p, ADDRESS, range->begin);
        proto_bytes(p, CONTENT, r->scratch, length);
    }
    proto_uint(p, MEMORY_CUT, ranges->cut);
}

static void put_memory(struct crash_report *r, struct proto *p, const struct crash_slot *slot)
{
    struct ranges ranges = {.count = 0};
    const struct roster_place *place = find_place(r->roster, slot->tid);
    uint64_t base = place != NULL ? place->ring->stack_base : 0;
    add_stack(r, &ranges, slot->general[STACK_POINTER], base);
    uint64_t at = slot->general[INSTRUCTION_POINTER];
    if (at >= CODE_BYTES / 2)
        add_range(&ranges, at - CODE_BYTES / 2, at + CODE_BYTES / 2);
    put_ranges(r, p, &ranges);
}

/* ---- the rest ---- */

static void put_maps(struct crash_report *r, struct proto *p)
{
    size_t length = 0;
    long got = 0;
    while (length < MAPS_BYTES) {
        got = sys_call6(SYS_pread64, r->maps_fd, (long)(r->scratch + length), (long)(MAPS_BYTES - length),
                        (long)length, 0, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    utf8_clean(r->scratch, length);
    proto_bytes(p, MAPS, r->scratch, length);
    proto_uint(p, MAPS_CUT, got != 0);
}

static void put_text(struct proto *p, uint32_t field, char *text, size_t size)
{
    size_t length = strnlen(text, size);
    utf8_clean(text, length);
    if (length > 0)
        proto_bytes(p, field, text, length);
}

/* What libc wrote before it called abort(), which it keeps for such as us. */
static void put_abort_message(struct crash_report *r, struct proto *p)
{
    struct {
        uint32_t size; /* of the whole mapping */
        char text[ABORT_MESSAGE_BYTES];
    } message;
    uint64_t address = 0;
    if (crash_abort_message == 0 ||
        read_memory(r, crash_abort_message, &address, sizeof address) != sizeof address || address == 0)
        return;
    long got = read_memory(r, address, &message, sizeof message);
    if (got <= (long)sizeof message.size)
        return;
    size_t length = strnlen(message.text, (size_t)got - sizeof message.size);
    while (length > 0 && message.text[length - 1] == '\n')
        length--;
    put_text(p, ABORT_MESSAGE, message.text, length);
}

static void put_registers(struct proto *p, const struct crash_slot *slot)
{
    uint8_t bytes[1024];
    struct proto registers = {.bytes = bytes, .size = sizeof bytes};
    proto_bytes(&registers, GENERAL, slot->general, sizeof slot->general);
    proto_fixed64(&registers, FLAGS, slot->cpu_flags);
    proto_fixed64(&registers, FS_BASE, slot->fs_base);
    proto_fixed64(&registers, GS_BASE, slot->gs_base);
    proto_fixed64(&registers, SEGMENTS, slot->segments);
    if ((slot->flags & CRASH_HAS_FXSAVE) != 0)
        proto_bytes(&registers, FXSAVE, slot->fxsave, sizeof slot->fxsave);
    proto_bytes(p, REGISTERS, bytes, registers.length);
}

static void put_exception(struct proto *p, struct crash_slot *slot)
{
    uint8_t bytes[CRASH_TYPE_BYTES + CRASH_WHAT_BYTES + 64];
    struct proto exception = {.bytes = bytes, .size = sizeof bytes};
    if ((slot->flags & CRASH_HAS_TYPE) == 0)
        return;
    put_text(&exception, TYPE_NAME, slot->exception_type, sizeof slot->exception_type);
    proto_uint(&exception, HAS_WHAT, (slot->flags & CRASH_HAS_WHAT) != 0);
    if ((slot->flags & CRASH_HAS_WHAT) != 0)
        put_text(&exception, WHAT, slot->exception_what, sizeof slot->exception_what);
    proto_bytes(p, EXCEPTION, bytes, exception.length);
}

static void put_slot(struct crash_report *r, struct proto *p, struct crash_slot *slot)
{
    proto_uint(p, HAS_THREAD, (slot->flags & CRASH_HAS_THREAD) != 0);
    proto_uint(p, THREAD, (slot->flags & CRASH_HAS_THREAD) != 0 ? slot->thread : 0);
    proto_uint(p, TID, slot->tid);
    put_text(p, THREAD_NAME, slot->thread_name, sizeof slot->thread_name);
    proto_uint(p, SIGNAL, (uint64_t)slot->signal);
    proto_uint(p, CODE, zigzag(slot->code));
    proto_uint(p, ERROR_NUMBER, zigzag(slot->error_number));
    proto_fixed64(p, FAULT_ADDRESS, slot->fault_address);
    proto_uint(p, SENDER_PID, slot->sender_pid);
    proto_uint(p, SENDER_USER_ID, slot->sender_user_id);
    const struct clock_reading reading = {slot->ticks, slot->monotonic_ns, slot->realtime_ns};
    message_put_clock(p, CLOCK, &reading);
    put_registers(p, slot);
    proto_uint(p, HANDLED, (slot->flags & CRASH_HANDLED) != 0);
    put_exception(p, slot);
    put_abort_message(r, p);
    proto_uint(p, TRAP_NUMBER, slot->trap_number);
    proto_uint(p, TRAP_ERROR, slot->trap_error);
}

/* ---- the file ---- */

static int write_file(const struct crash_report *r, int fd, const struct proto *message, uint32_t number)
{
    struct crash_file_header *header = (void *)r->message;
    *header = (struct crash_file_header){
        .magic = CRASH_FILE_MAGIC,
        .version = CRASH_FILE_VERSION,
        .number = number,
        .size = message->length,
    };
    const size_t checked = offsetof(struct crash_file_header, version);
    header->crc32c = crc32c(crc32c(0, &header->version, offsetof(struct crash_file_header, crc32c) - checked),
                            message->bytes, message->length);
    size_t size = sizeof *header + message->length;
    size_t done = 0;
    while (done < size) {
        long put =
            sys_call6(SYS_pwrite64, fd, (long)(r->message + done), (long)(size - done), (long)done, 0, 0);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        done += (size_t)put;
    }
    return (int)sys_call3(SYS_ftruncate, fd, (long)size, 0);
}

static struct proto begin_message(const struct crash_report *r)
{
    const size_t before = sizeof(struct crash_file_header);
    return (struct proto){.bytes = r->message + before, .size = MESSAGE_BYTES - before};
}

static int write_without_memory(struct crash_report *r, int fd, struct crash_slot *slot, int why)
{
    char reason[96];
    struct text t = text_in(reason, sizeof reason);
    text_add(&t, "the session directory has no room for memory and mappings (error ");
    text_add_number(&t, (uint64_t)-why);
    text_add(&t, ")");
    sys_call3(SYS_ftruncate, fd, 0, 0);
    struct proto p = begin_message(r);
    put_slot(r, &p, slot);
    proto_string(&p, INCOMPLETE, reason);
    return write_file(r, fd, &p, slot->number);
}

void crash_report_write(struct crash_report *r)
{
    struct crash_slot slot = *r->slot;
    int fd = sys_openat(r->directory, "crash", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    struct proto p = begin_message(r);
    put_slot(r, &p, &slot);
    put_memory(r, &p, &slot);
    put_maps(r, &p);
    int status = write_file(r, fd, &p, slot.number);
    if (status < 0)
        write_without_memory(r, fd, &slot, status);
    sys_close(fd);
}

bool crash_report_is_due(const struct crash_report *r)
{
    return __atomic_load_n(&r->slot->state, __ATOMIC_ACQUIRE) == CRASH_FILLED;
}

void crash_report_done(struct crash_report *r)
{
    uint32_t filled = CRASH_FILLED; /* else the thread has lost patience and withdrawn it */
    __atomic_compare_exchange_n(&r->slot->state, &filled, CRASH_WRITTEN, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
    futex_wake_all(&r->slot->state);
}
