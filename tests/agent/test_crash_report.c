/* The crash report: what is read of the process and written to the file, also where there is no room. */
#include "agent/ship/crash_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/ship/crc32c.h"
#include "tests/agent/check.h"
#include "tests/agent/faults.h"

#define FILE_BYTES (2u << 20)
#define STACK_BYTES (1u << 20)

static char folder[] = "/tmp/calltrace-crash-XXXXXX";
static struct crash_slot slot;
static struct crash_report report;
static uint8_t file[FILE_BYTES];

static void open_report(void)
{
    static struct roster roster;
    static struct modules modules;
    static struct session session;
    CHECK(mkdtemp(folder) != NULL);
    session.directory = open(folder, O_RDONLY | O_DIRECTORY);
    session.crash = &slot;
    CHECK(session.directory >= 0 && modules_open(&modules) == 0);
    CHECK(crash_report_open(&report, &session, &roster, &modules) == 0);
}

/* Writes the report of what is in the slot; returns the message's size. */
static size_t write_report(void)
{
    slot.state = CRASH_FILLED;
    slot.number++;
    CHECK(crash_report_is_due(&report));
    crash_report_write(&report);
    crash_report_done(&report);
    CHECK_EQUAL(slot.state, CRASH_WRITTEN);
    int fd = openat(report.directory, "crash", O_RDONLY);
    CHECK(fd >= 0);
    ssize_t size = read(fd, file, sizeof file);
    close(fd);
    struct crash_file_header header;
    CHECK(size > (ssize_t)sizeof header);
    memcpy(&header, file, sizeof header);
    CHECK(memcmp(&header.magic, "TRCRASH1", 8) == 0);
    CHECK_EQUAL(header.version, 1);
    CHECK_EQUAL(header.number, slot.number);
    CHECK_EQUAL(header.size, (size_t)size - sizeof header);
    CHECK_EQUAL(header.crc32c, crc32c(crc32c(0, file + 8, 16), file + sizeof header, header.size));
    return header.size;
}

static bool holds(size_t size, const void *what, size_t length)
{
    return memmem(file + sizeof(struct crash_file_header), size, what, length) != NULL;
}

/* The field that a MemoryRange at this address begins with. */
static bool has_range(size_t size, uint64_t address)
{
    uint8_t field[9] = {1 << 3 | WIRE_FIXED64};
    memcpy(field + 1, &address, sizeof address);
    return holds(size, field, sizeof field);
}

static void set_stack_pointer(const uint8_t *at)
{
    slot.general[7] = (uint64_t)(uintptr_t)at;
}

/* A stack with a page above and below that cannot be read. */
static uint8_t *make_stack(void)
{
    uint8_t *memory = mmap(NULL, STACK_BYTES + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(mprotect(memory + 4096, STACK_BYTES, PROT_READ | PROT_WRITE) == 0);
    return memory + 4096;
}

static void test_stacks(void)
{
    static const char innermost[] = "the innermost frame", outermost[] = "the outermost frame";
    uint8_t *stack = make_stack();
    slot.general[16] = (uint64_t)(uintptr_t)test_stacks;
    memcpy(stack + STACK_BYTES - sizeof outermost, outermost, sizeof outermost);

    uint8_t *at = stack + STACK_BYTES - 4000;
    memcpy(at, innermost, sizeof innermost);
    set_stack_pointer(at);
    size_t size = write_report();
    CHECK(has_range(size, (uint64_t)(uintptr_t)at - 128));
    CHECK(holds(size, innermost, sizeof innermost) && holds(size, outermost, sizeof outermost));
    CHECK(holds(size, (const void *)(uintptr_t)test_stacks, 32)); /* the code */
    CHECK(holds(size, "[vdso]", 6));                              /* the mappings */

    set_stack_pointer(stack + 64); /* the red zone is not there */
    memcpy(stack + 64, innermost, sizeof innermost);
    size = write_report();
    CHECK(has_range(size, (uint64_t)(uintptr_t)stack));
    CHECK(has_range(size, (uint64_t)(uintptr_t)stack + STACK_BYTES - (64 << 10)));
    CHECK(size > 320 << 10 && size < (320 << 10) + 65536);
    CHECK(holds(size, innermost, sizeof innermost) && holds(size, outermost, sizeof outermost));

    set_stack_pointer(stack - 100); /* a stack overflow */
    size = write_report();
    CHECK(has_range(size, (uint64_t)(uintptr_t)stack));
}

static void test_what_makes_no_sense(void)
{
    const uint64_t values[] = {0, 1, 127, 128, 4096, 1ull << 46, (1ull << 47) - 8, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        slot.general[7] = values[i];
        slot.general[16] = values[i];
        CHECK(holds(write_report(), "[vdso]", 6));
    }
}

static void test_text_is_utf8(void)
{
    slot.flags = CRASH_HAS_TYPE | CRASH_HAS_WHAT;
    static const char clean[] = "gr\xc3\xbc\xc3\x9f? \xf0\x9f\x98\x80 ???";
    memset(slot.thread_name, 0xff, sizeof slot.thread_name);
    memset(slot.exception_type, 'T', sizeof slot.exception_type);
    strcpy(slot.exception_what, "gr\xc3\xbc\xc3\x9f\xc3 \xf0\x9f\x98\x80 \xed\xa0\x80");
    size_t size = write_report();
    CHECK(holds(size, "????????????????", sizeof slot.thread_name));
    CHECK(holds(size, slot.exception_type, sizeof slot.exception_type));
    CHECK(holds(size, clean, strlen(clean)));
    slot.flags = 0;
}

static void test_no_room(void)
{
    faults_set(SYS_pwrite64, 0, -ENOSPC, false);
    size_t size = write_report();
    CHECK(faults_clear());
    CHECK(holds(size, "no room for memory and mappings (error 28)", 42));
    CHECK(!holds(size, "[vdso]", 6));
    CHECK(size < 2048);
}

/* Whatever fails, the thread goes on. */
static void test_failures(void)
{
    for (unsigned position = 0;; position++) {
        slot.state = CRASH_FILLED;
        faults_set(FAULTS_ANY_CALL, position, -EIO, true);
        crash_report_write(&report);
        crash_report_done(&report);
        bool failed = faults_clear();
        CHECK_EQUAL(slot.state, CRASH_WRITTEN);
        if (!failed)
            return;
    }
}

int main(void)
{
    open_report();
    test_stacks();
    test_what_makes_no_sense();
    test_text_is_utf8();
    test_no_room();
    test_failures();
    CHECK(unlinkat(report.directory, "crash", 0) == 0 && rmdir(folder) == 0);
    return 0;
}
