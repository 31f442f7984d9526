/* Hooks that capture: what they record, what they leave alone, and how they nest in each other's programs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/sys.h"
#include "agent/life/thread.h"
#include "agent/record/capture.h"
#include "agent/record/capture_table.h"
#include "agent/record/layout.h"
#include "agent/record/ring.h"
#include "agent/ship/roster.h"
#include "tests/agent/capture_words.h"
#include "tests/agent/check.h"

#define ENTRY_LAYOUT 11u
#define EXIT_LAYOUT 12u
#define MOST_RECORDS 64
#define ALTERNATE_STACK_BYTES (64u << 10)

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

/* ---- calling hooks with given registers ---- */

/* Calls a hook with the general registers (but rsp) and xmm0 to xmm7 of `set`, and writes those behind the
 * call to `got`. The first argument of the hook is in `set`. */
typedef void call(const struct capture_registers *set, struct capture_registers *got);
call plain_entry, plain_exit, saves_entry, saves_exit, reads_entry, reads_exit;
extern const char after_saves_entry[], after_saves_exit[], after_reads_entry[], after_reads_exit[];

#define CALL_HOOK(name, hook)                                                                                \
    ".globl " name "\n" name ":\n"                                                                           \
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"                    \
    "movups 128(%rdi), %xmm0\n movups 144(%rdi), %xmm1\n movups 160(%rdi), %xmm2\n"                          \
    "movups 176(%rdi), %xmm3\n movups 192(%rdi), %xmm4\n movups 208(%rdi), %xmm5\n"                          \
    "movups 224(%rdi), %xmm6\n movups 240(%rdi), %xmm7\n"                                                    \
    "mov 0(%rdi), %rax\n mov 8(%rdi), %rdx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rbx\n"                      \
    "mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"                      \
    "mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n"                   \
    "mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n mov 40(%rdi), %rdi\n"                                       \
    "call " hook "\n"                                                                                        \
    ".globl after_" name "\nafter_" name ":\n"                                                               \
    "xchg %rax, (%rsp)\n" /* now rax is `got`, and the hook's rax lies there */                              \
    "mov %rdx, 8(%rax)\n mov %rcx, 16(%rax)\n mov %rbx, 24(%rax)\n mov %rsi, 32(%rax)\n"                     \
    "mov %rdi, 40(%rax)\n mov %rbp, 48(%rax)\n mov %rsp, 56(%rax)\n mov %r8, 64(%rax)\n"                     \
    "mov %r9, 72(%rax)\n mov %r10, 80(%rax)\n mov %r11, 88(%rax)\n mov %r12, 96(%rax)\n"                     \
    "mov %r13, 104(%rax)\n mov %r14, 112(%rax)\n mov %r15, 120(%rax)\n"                                      \
    "movups %xmm0, 128(%rax)\n movups %xmm1, 144(%rax)\n movups %xmm2, 160(%rax)\n"                          \
    "movups %xmm3, 176(%rax)\n movups %xmm4, 192(%rax)\n movups %xmm5, 208(%rax)\n"                          \
    "movups %xmm6, 224(%rax)\n movups %xmm7, 240(%rax)\n"                                                    \
    "pop %rdx\n mov %rdx, 0(%rax)\n"                                                                         \
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"

#define CALL_HOOKS(name)                                                                                     \
    CALL_HOOK(name "_entry", "__cyg_profile_func_enter@PLT")                                                 \
    CALL_HOOK(name "_exit", "__cyg_profile_func_exit@PLT")

__asm__(".text\n" CALL_HOOKS("plain") CALL_HOOKS("saves") CALL_HOOKS("reads"));

static struct capture_registers odd_registers(uint64_t function)
{
    struct capture_registers set;
    for (uint64_t i = 0; i < 16; i++) {
        set.general[i] = 0x1111111111111111 * i + 0xabc;
        set.xmm[i] = 0x0101010101010101 * i + 0x4000000000000000;
    }
    set.general[5] = function;
    set.general[4] = 0x500000 + function; /* the call site */
    return set;
}

/* ---- plans ---- */

static void add_plan(const char *after, uint64_t function, uint32_t layout, const struct words *program)
{
    struct capture_hook hook = {.return_address = (uint64_t)(uintptr_t)after,
                                .function = function,
                                .program = program->bytes,
                                .size = (uint32_t)program->size,
                                .layout = layout};
    CHECK_EQUAL(capture_table_add(&hook, capture_text_limit), 0);
}

/* All registers, general ones and xmm. */
static struct words all_registers(void)
{
    struct words w = {.size = 0};
    for (unsigned i = 0; i < 16; i++)
        put_register_item(&w, OP_REGISTER, i, 8);
    for (unsigned i = 0; i < 16; i++)
        put_register_item(&w, OP_XMM, i, 8);
    return w;
}

/* ---- the ring ---- */

struct seen {
    unsigned kind;
    uint64_t function, call_site, ticks;
    uint64_t words; /* of a void record */
    uint32_t layout;
    size_t size;
    const uint8_t *values; /* behind the layout's number; NULL: none */
};

static struct seen records[MOST_RECORDS];
static size_t record_count;
static uint64_t read_to;

/* Reads what was published since the last time, as layout.h says. */
static void read_ring(const struct ring_header *ring)
{
    const uint64_t *words = (const uint64_t *)(const void *)((const char *)ring + CALLTRACE_PAGE);
    record_count = 0;
    while (read_to != ring->head) {
        const uint64_t *at = &words[read_to % RING_WORDS];
        struct seen *seen = &records[record_count++];
        CHECK(record_count <= MOST_RECORDS && read_to < ring->head);
        *seen = (struct seen){.kind = (unsigned)(at[1] >> 62), .ticks = at[0]};
        if (seen->kind == RECORD_DROPPED) {
            seen->words = 2 + (at[1] >> 48 & 0x3fff);
            read_to += seen->words;
            continue;
        }
        seen->function = at[1] & 0x7fffffffffff;
        size_t header = seen->kind == RECORD_ENTRY ? 3 : 2;
        if (seen->kind == RECORD_ENTRY)
            seen->call_site = at[2] & 0xffffffffffff;
        read_to += header;
        if ((at[1] >> 47 & 1) == 0)
            continue;
        size_t bytes = at[header] & 0xffff, behind = at[header] >> 16;
        CHECK(bytes >= 4 && bytes <= CAPTURE_BYTES && behind >= (bytes + 7) / 8);
        seen->values = (const uint8_t *)&at[header + 1] + 4;
        memcpy(&seen->layout, &at[header + 1], 4);
        seen->size = bytes - 4;
        read_to += 1 + behind;
    }
}

static void check_record(size_t i, unsigned kind, uint64_t function, uint32_t layout)
{
    CHECK(i < record_count);
    CHECK_EQUAL(records[i].kind, kind);
    CHECK_EQUAL(records[i].function, function);
    CHECK_EQUAL(records[i].values != NULL ? records[i].layout : 0, layout);
    if (kind == RECORD_ENTRY)
        CHECK_EQUAL(records[i].call_site, 0x500000 + function);
    if (i != 0 && records[i - 1].kind != RECORD_DROPPED)
        CHECK(kind == RECORD_ENTRY || records[i].ticks >= records[i - 1].ticks);
}

static uint64_t value(const struct seen *seen, size_t index)
{
    uint64_t value;
    CHECK(seen->values != NULL && (index + 1) * 9 <= seen->size);
    CHECK_EQUAL(seen->values[index * 9], CAPTURE_OK);
    memcpy(&value, seen->values + index * 9 + 1, sizeof value);
    return value;
}

/* ---- interruptions: a program that reads what only the kernel can makes a system call, and there ---- */

static void (*at_read)(void);

long sys_fault(long number)
{
    if (number == SYS_process_vm_readv && at_read != NULL) {
        void (*now)(void) = at_read;
        at_read = NULL;
        now();
    }
    return 0;
}

static char *far_text;

/* A program that makes one system call, and leaves much less than it needs room for. */
static struct words reading(void)
{
    struct words w = {.size = 0};
    put_text_item(&w, (uint64_t)(uintptr_t)far_text);
    put_register_item(&w, OP_REGISTER, 5, 8);
    return w;
}

#define PLAIN 0x401000u
#define READS 0x402000u
#define SAVES 0x403000u

static void call_entry(uint64_t function)
{
    struct capture_registers set = odd_registers(function), got;
    (function == PLAIN ? plain_entry : function == SAVES ? saves_entry : reads_entry)(&set, &got);
}

static void call_exit(uint64_t function)
{
    struct capture_registers set = odd_registers(function), got;
    (function == PLAIN ? plain_exit : function == SAVES ? saves_exit : reads_exit)(&set, &got);
}

static void call_pair(uint64_t function)
{
    call_entry(function);
    call_exit(function);
}

static void add_plans(void)
{
    struct words saves = all_registers(), reads = reading();
    add_plan(after_saves_entry, SAVES, ENTRY_LAYOUT, &saves);
    add_plan(after_saves_exit, SAVES, EXIT_LAYOUT, &saves);
    add_plan(after_reads_entry, READS, ENTRY_LAYOUT, &reads);
    add_plan(after_reads_exit, READS, EXIT_LAYOUT, &reads);
    CHECK_EQUAL(capture_table_settle(0, UINT64_MAX), 0);
}

static sigjmp_buf out;

static void interrupt(void)
{
    raise(SIGUSR1);
}

static void call_in_handler(int signal)
{
    (void)signal;
    call_pair(PLAIN);
    call_pair(SAVES);
}

static void leave_handler(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

static void call_and_leave_handler(int signal)
{
    call_in_handler(signal);
    siglongjmp(out, 1);
}

static void interrupt_again(int signal);

static void leave_from_within(int signal)
{
    (void)signal;
    at_read = interrupt;
    struct sigaction action = {.sa_handler = leave_handler, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    call_entry(READS);
    CHECK(false);
}

static void interrupt_again(int signal)
{
    call_in_handler(signal);
    leave_from_within(signal);
}

static void handle(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER | flags};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
}

/* ---- checks ---- */

static void check_registers(const struct ring_header *ring)
{
    struct capture_registers set = odd_registers(SAVES), got;
    for (int i = 0; i < 2; i++) {
        uint32_t before = 0x7f80, after = 0; /* towards zero, nothing trapped */
        __asm__ volatile("ldmxcsr %0" : : "m"(before));
        errno = 4242;
        (i == 0 ? saves_entry : saves_exit)(&set, &got);
        __asm__ volatile("stmxcsr %0" : "=m"(after));
        CHECK_EQUAL(after, before);
        CHECK_EQUAL(errno, 4242);
        set.general[CAPTURE_STACK_POINTER] = got.general[CAPTURE_STACK_POINTER];
        CHECK(memcmp(&set, &got, sizeof set) == 0);
        read_ring(ring);
        CHECK_EQUAL(record_count, 1);
        check_record(0, i == 0 ? RECORD_ENTRY : RECORD_EXIT, SAVES, i == 0 ? ENTRY_LAYOUT : EXIT_LAYOUT);
        CHECK_EQUAL(records[0].size, 32 * 9);
        for (size_t n = 0; n < 16; n++) {
            CHECK_EQUAL(value(&records[0], n), set.general[n]);
            CHECK_EQUAL(value(&records[0], 16 + n), set.xmm[n]);
        }
    }
}

static void check_plain_ones(const struct ring_header *ring)
{
    struct capture_registers set = odd_registers(PLAIN), got;
    call_pair(PLAIN);
    saves_entry(&set, &got); /* its plan is for another function */
    capture_is_on = false;
    call_exit(SAVES);
    capture_is_on = true;
    read_ring(ring);
    CHECK_EQUAL(record_count, 4);
    check_record(0, RECORD_ENTRY, PLAIN, 0);
    check_record(1, RECORD_EXIT, PLAIN, 0);
    check_record(2, RECORD_ENTRY, PLAIN, 0);
    check_record(3, RECORD_EXIT, SAVES, 0);
}

static void check_reading(const struct ring_header *ring)
{
    call_pair(READS);
    read_ring(ring);
    CHECK_EQUAL(record_count, 2);
    check_record(0, RECORD_ENTRY, READS, ENTRY_LAYOUT);
    check_record(1, RECORD_EXIT, READS, EXIT_LAYOUT);
    CHECK_EQUAL(records[0].size, 3 + 3 + 9);
    CHECK(memcmp(records[0].values, "\0\3\0far", 6) == 0);
}

/* The four calls of call_in_handler(), from record i on. */
static void check_those_of_handler(size_t i)
{
    check_record(i, RECORD_ENTRY, PLAIN, 0);
    check_record(i + 1, RECORD_EXIT, PLAIN, 0);
    check_record(i + 2, RECORD_ENTRY, SAVES, ENTRY_LAYOUT);
    check_record(i + 3, RECORD_EXIT, SAVES, EXIT_LAYOUT);
    CHECK_EQUAL(value(&records[i + 3], 5), SAVES);
}

/* A handler's events lie behind the one that it interrupted, and that one is whole. */
static void check_nesting(const struct ring_header *ring)
{
    handle(call_in_handler, 0);
    for (int i = 0; i < 2; i++) {
        at_read = interrupt;
        (i == 0 ? call_entry : call_exit)(READS);
        read_ring(ring);
        CHECK_EQUAL(record_count, 5);
        CHECK_EQUAL(records[0].kind, i == 0 ? RECORD_ENTRY : RECORD_EXIT);
        CHECK_EQUAL(records[0].size, 3 + 3 + 9);
        CHECK(memcmp(records[0].values, "\0\3\0far", 6) == 0);
        check_those_of_handler(1);
        CHECK(records[1].ticks >= records[0].ticks);
    }
}

/* A handler that does not return leaves a void record in the interrupted hook's place. */
static void check_abandoned(const struct ring_header *ring, void (*handler)(int), size_t handlers_records,
                            size_t voids, int flags)
{
    for (int i = 0; i < 2; i++) {
        handle(handler, flags);
        at_read = interrupt;
        if (sigsetjmp(out, 1) == 0) {
            (i == 0 ? call_entry : call_exit)(READS);
            CHECK(false);
        }
        /* From no deeper than the hook that was left, which is how that is seen. */
        call_entry(SAVES);
        call_exit(SAVES);
        read_ring(ring);
        CHECK_EQUAL(record_count, voids + handlers_records + 2);
        CHECK_EQUAL(records[0].kind, RECORD_DROPPED);
        if (handlers_records != 0)
            check_those_of_handler(1);
        if (voids == 2)
            CHECK_EQUAL(records[1 + handlers_records].kind, RECORD_DROPPED);
        check_record(record_count - 2, RECORD_ENTRY, SAVES, ENTRY_LAYOUT);
        check_record(record_count - 1, RECORD_EXIT, SAVES, EXIT_LAYOUT);
    }
}

/* Records of many sizes cross the end of the ring. */
static void check_around_the_ring(struct ring_header *ring)
{
    while (ring->head < 3 * RING_WORDS) {
        uint64_t function = ring->head % 3 == 0 ? SAVES : ring->head % 3 == 1 ? READS : PLAIN;
        call_pair(function);
        read_ring(ring);
        CHECK_EQUAL(record_count, 2);
        check_record(0, RECORD_ENTRY, function, function == PLAIN ? 0 : ENTRY_LAYOUT);
        check_record(1, RECORD_EXIT, function, function == PLAIN ? 0 : EXIT_LAYOUT);
        if (function == SAVES)
            CHECK_EQUAL(value(&records[1], 31), odd_registers(0).xmm[15]);
        ring->tail = ring->head;
    }
}

int main(void)
{
    char path[] = "/tmp/calltrace-capture-XXXXXX";
    static char alternate[ALTERNATE_STACK_BYTES];
    struct roster roster;
    struct attach_request request = {.tid = 1, .started_ticks = 5};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    request.stack_base = (uint64_t)(uintptr_t)__builtin_frame_address(0) & ~15ull;
    CHECK(mkdtemp(path) != NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_EQUAL(roster_open(&roster, directory), 0);
    roster_attach(&roster, &request);
    CHECK(request.producer != NULL);
    ring_producer = request.producer;
    struct ring_header *ring = request.producer->ring;
    far_text = mmap(NULL, CALLTRACE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(far_text, "far", 4);
    capture_text_limit = 1024;
    add_plans();

    check_registers(ring);
    check_plain_ones(ring);
    check_reading(ring);
    check_nesting(ring);
    check_abandoned(ring, leave_handler, 0, 1, 0);
    check_abandoned(ring, call_and_leave_handler, 4, 1, 0);
    check_abandoned(ring, interrupt_again, 4, 2, 0);
    check_abandoned(ring, leave_from_within, 0, 2, 0);
    CHECK_EQUAL(sigaltstack(&stack, NULL), 0);
    check_abandoned(ring, call_and_leave_handler, 4, 1, SA_ONSTACK);
    check_around_the_ring(ring);

    CHECK_EQUAL(unlinkat(directory, "ring.0", 0), 0);
    CHECK_EQUAL(rmdir(path), 0);
    return 0;
}
