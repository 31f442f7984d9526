#include "tests/agent/capture_scene.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/thread.h"
#include "agent/record/capture.h"
#include "agent/record/capture_table.h"
#include "agent/record/ring.h"
#include "agent/ship/roster.h"
#include "tests/agent/capture_words.h"
#include "tests/agent/check.h"

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);
extern const char after_saves_entry[], after_saves_exit[], after_reads_entry[], after_reads_exit[];

struct seen scene_records[SCENE_MOST_RECORDS];
size_t scene_count;

static char path[] = "/tmp/calltrace-capture-XXXXXX";
static int directory;
static struct ring_header *ring;
static uint64_t read_to;
static char *far_text;

/* ---- calls ---- */

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

struct capture_registers scene_registers(uint64_t function)
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

void scene_entry(uint64_t function)
{
    struct capture_registers set = scene_registers(function), got;
    (function == PLAIN ? plain_entry : function == SAVES ? saves_entry : reads_entry)(&set, &got);
}

void scene_exit(uint64_t function)
{
    struct capture_registers set = scene_registers(function), got;
    (function == PLAIN ? plain_exit : function == SAVES ? saves_exit : reads_exit)(&set, &got);
}

/* ---- plans ---- */

static void add_plan(const char *after, uint64_t function, uint32_t layout, const struct words *program)
{
    struct capture_hook hook = {.return_address = (uint64_t)(uintptr_t)after,
                                .function = function,
                                .program = program->bytes,
                                .size = (uint32_t)program->size,
                                .layout = layout};
    CHECK_EQUAL(capture_table_add(&hook, agent.config.string_limit), 0);
}

/* All registers, general ones and xmm, and a sum, which takes floating-point registers. */
static struct words all_registers(void)
{
    struct words w = {.size = 0};
    for (unsigned i = 0; i < 16; i++)
        put_register_item(&w, OP_REGISTER, i, 8);
    for (unsigned i = 0; i < 16; i++)
        put_register_item(&w, OP_XMM, i, 8);
    put(&w, ITEM_VALUE, 1);
    put(&w, 8, 1);
    put(&w, OP_XMM, 1);
    put(&w, 0, 1);
    put(&w, OP_XMM, 1);
    put(&w, 2, 1);
    put(&w, OP_ADD_D, 1);
    put(&w, OP_END, 1);
    return w;
}

static struct words reading(void)
{
    struct words w = {.size = 0};
    put_text_item(&w, (uint64_t)(uintptr_t)far_text);
    put_register_item(&w, OP_REGISTER, 5, 8);
    return w;
}

static void add_plans(void)
{
    struct words saves = all_registers(), reads = reading();
    add_plan(after_saves_entry, SAVES, SCENE_ENTRY_LAYOUT, &saves);
    add_plan(after_saves_exit, SAVES, SCENE_EXIT_LAYOUT, &saves);
    add_plan(after_reads_entry, READS, SCENE_ENTRY_LAYOUT, &reads);
    add_plan(after_reads_exit, READS, SCENE_EXIT_LAYOUT, &reads);
    CHECK_EQUAL(capture_table_settle(0, UINT64_MAX), 0);
}

struct ring_header *scene_open(const void *frame_of_main)
{
    static struct roster roster;
    struct attach_request request = {.tid = 1, .started_ticks = 5};
    request.stack_base = (uint64_t)(uintptr_t)frame_of_main & ~15ull;
    CHECK(mkdtemp(path) != NULL);
    directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_EQUAL(roster_open(&roster, directory), 0);
    roster_attach(&roster, &request);
    CHECK(request.producer != NULL);
    ring_producer = request.producer;
    ring = request.producer->ring;
    far_text = mmap(NULL, CALLTRACE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(far_text, "far", 4);
    agent.config.string_limit = 1024;
    add_plans();
    return ring;
}

void scene_close(void)
{
    CHECK_EQUAL(unlinkat(directory, "ring.0", 0), 0);
    CHECK_EQUAL(rmdir(path), 0);
}

/* ---- the ring ---- */

static void read_values(struct seen *seen, const uint64_t *at)
{
    uint64_t size = at[0] & 0xffff, behind = at[0] >> 16 & 0xffff;
    CHECK(size >= 4 && size <= CAPTURE_BYTES && behind >= (size + 7) / 8);
    seen->values = (const uint8_t *)&at[1] + 4;
    memcpy(&seen->layout, &at[1], 4);
    seen->size = size - 4;
    read_to += 1 + behind;
}

static void read_record(struct seen *seen, const uint64_t *at)
{
    *seen = (struct seen){.kind = (unsigned)(at[1] >> 62), .ticks = at[0]};
    if (seen->kind == RECORD_DROPPED) {
        seen->words = 2 + (at[1] >> 48 & 0x3fff);
        read_to += seen->words;
        return;
    }
    uint64_t header = seen->kind == RECORD_ENTRY ? 3 : 2;
    seen->function = at[1] & 0x7fffffffffff;
    if (seen->kind == RECORD_ENTRY)
        seen->call_site = at[2] & 0xffffffffffff;
    read_to += header;
    if ((at[1] >> 47 & 1) != 0)
        read_values(seen, at + header);
}

void scene_read(void)
{
    const uint64_t *words = (const uint64_t *)(const void *)((const char *)ring + CALLTRACE_PAGE);
    scene_count = 0;
    while (read_to != ring->head) {
        CHECK(scene_count < SCENE_MOST_RECORDS && read_to < ring->head);
        read_record(&scene_records[scene_count++], &words[read_to % RING_WORDS]);
    }
    ring->tail = read_to;
}

uint64_t scene_value(const struct seen *seen, size_t index)
{
    uint64_t value;
    CHECK(seen->values != NULL && (index + 1) * 9 <= seen->size);
    CHECK_EQUAL(seen->values[index * 9], CAPTURE_OK);
    memcpy(&value, seen->values + index * 9 + 1, sizeof value);
    return value;
}

static void check_saved(const struct seen *seen)
{
    struct capture_registers set = scene_registers(SAVES);
    uint64_t sum = scene_value(seen, 32);
    double expected[3], got;
    memcpy(expected, set.xmm, sizeof expected);
    memcpy(&got, &sum, sizeof got);
    CHECK(got == expected[0] + expected[2]);
    CHECK_EQUAL(seen->size, 33 * 9);
    for (size_t i = 0; i < 16; i++) {
        if (i != CAPTURE_STACK_POINTER)
            CHECK_EQUAL(scene_value(seen, i), set.general[i]);
        CHECK_EQUAL(scene_value(seen, 16 + i), set.xmm[i]);
    }
}

void scene_check(const struct seen *seen, unsigned kind, uint64_t function)
{
    CHECK(seen < scene_records + scene_count);
    CHECK_EQUAL(seen->kind, kind);
    CHECK_EQUAL(seen->function, function);
    if (kind == RECORD_ENTRY)
        CHECK_EQUAL(seen->call_site, 0x500000 + function);
    CHECK_EQUAL(seen->values != NULL, function != PLAIN);
    if (function == PLAIN)
        return;
    CHECK_EQUAL(seen->layout, kind == RECORD_ENTRY ? SCENE_ENTRY_LAYOUT : SCENE_EXIT_LAYOUT);
    if (function == SAVES) {
        check_saved(seen);
        return;
    }
    CHECK_EQUAL(seen->size, 3 + 3 + 9);
    CHECK(memcmp(seen->values, "\0\3\0far", 6) == 0);
    CHECK(memcmp(seen->values + 7, &seen->function, 8) == 0);
}
