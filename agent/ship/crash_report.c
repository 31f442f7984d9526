#include "agent/ship/crash_report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/life/crash.h"
#include "agent/life/futex.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/ship/crash_memory.h"
#include "agent/ship/crc32c.h"
#include "agent/ship/messages.h"

#define MAPS_BYTES CRASH_STACK_BYTES
#define ABORT_MESSAGE_BYTES 4096
#define MESSAGE_BYTES (CRASH_MEMORY_BYTES + MAPS_BYTES + (32u << 10))

/* Fields of Crash, Registers and UncaughtException. */
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
enum { TYPE_NAME = 1, HAS_WHAT, WHAT };

int crash_report_open(struct crash_report *r, const struct session *session, const struct roster *roster,
                      const struct modules *modules)
{
    *r = (struct crash_report){
        .slot = session->crash,
        .roster = roster,
        .directory = session->directory,
        .file = -1,
        .memory = {.memory_fd = modules->memory_fd, .maps_fd = modules->maps_fd},
    };
    uint8_t *memory = memory_get(MESSAGE_BYTES + CRASH_SCRATCH_BYTES); /* used when it is touched */
    if (memory == NULL)
        return -ENOMEM;
    r->message = memory;
    r->memory.scratch = memory + MESSAGE_BYTES;
    return 0;
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

static void put_memory(struct crash_report *r, struct proto *p, const struct crash_slot *slot)
{
    struct crash_ranges ranges = {.count = 0};
    const struct roster_place *place = find_place(r->roster, slot->tid);
    crash_memory_choose(&r->memory, slot, place != NULL ? place->ring->stack_base : 0, &ranges);
    crash_memory_put(&r->memory, &ranges, p, MEMORY);
    proto_uint(p, MEMORY_CUT, ranges.cut);
}

static void put_maps(struct crash_report *r, struct proto *p)
{
    size_t length = 0;
    long got = 0;
    while (length < MAPS_BYTES) {
        got = sys_call6(SYS_pread64, r->memory.maps_fd, (long)(r->memory.scratch + length),
                        (long)(MAPS_BYTES - length), (long)length, 0, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    proto_text(p, MAPS, (const char *)r->memory.scratch, length);
    proto_uint(p, MAPS_CUT, got != 0);
}

static void put_text(struct proto *p, uint32_t field, const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    if (length > 0)
        proto_text(p, field, text, length);
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
        crash_memory_read(&r->memory, crash_abort_message, &address, sizeof address) != sizeof address ||
        address == 0)
        return;
    long got = crash_memory_read(&r->memory, address, &message, sizeof message);
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

void crash_report_hold(struct crash_report *r)
{
    if (r->file < 0)
        r->file = sys_openat(r->directory, "crash", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void crash_report_write(struct crash_report *r)
{
    struct crash_slot slot = *r->slot;
    crash_report_hold(r);
    int fd = r->file;
    if (fd < 0)
        return;
    struct proto p = begin_message(r);
    put_slot(r, &p, &slot);
    put_memory(r, &p, &slot);
    put_maps(r, &p);
    int status = write_file(r, fd, &p, slot.number);
    if (status < 0)
        write_without_memory(r, fd, &slot, status);
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
