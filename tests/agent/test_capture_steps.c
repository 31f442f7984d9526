/*
 * Hooks that are interrupted behind each of their instructions: by a handler that calls hooks itself, and
 * goes back or leaves them for good. Every record is whole or void, and those of the handler are all there.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "agent/life/sys.h"
#include "agent/record/layout.h"
#include "tests/agent/capture_scene.h"
#include "tests/agent/check.h"

#define BREAKPOINT 0xcc
#define MOST_STEPS 100000
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7 /* code of sanitizers takes many more instructions */
#else
#define STRIDE 1
#endif

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

static uint8_t *trail[MOST_STEPS]; /* the instructions of a hook, as it runs */
static size_t trail_length;
static uint8_t *hook;   /* where it begins */
static uint8_t *behind; /* where it returns to */
static bool is_over;    /* it has returned */
static uint8_t *place;  /* where the next one is interrupted; NULL: instructions are followed */
static uint8_t replaced;
static bool leaves;
static uint64_t others[2]; /* functions that the handler calls hooks for */
static sigjmp_buf out;

long sys_fault(long number)
{
    (void)number;
    return 0;
}

/* From the hook's first instruction to its return. */
static void follow(uint8_t *instruction, const uint64_t *stack)
{
    if (trail_length == 0 && instruction == hook)
        behind = (uint8_t *)(uintptr_t)stack[0];
    else if (trail_length == 0)
        return;
    if (instruction == behind)
        is_over = true;
    if (is_over)
        return;
    CHECK(trail_length < MOST_STEPS);
    trail[trail_length++] = instruction;
}

static void write_code(uint8_t *at, uint8_t byte)
{
    uint8_t *page = at - (uintptr_t)at % CALLTRACE_PAGE;
    CHECK_EQUAL(mprotect(page, CALLTRACE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    *(volatile uint8_t *)at = byte;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    (void)info;
    if (place == NULL) {
        follow((uint8_t *)registers[REG_RIP], (const uint64_t *)registers[REG_RSP]);
        return;
    }
    CHECK(registers[REG_RIP] == (greg_t)place + 1);
    registers[REG_RIP] = (greg_t)place;
    write_code(place, replaced);
    place = NULL;
    for (int i = 0; i < 2; i++) {
        scene_entry(others[i]);
        scene_exit(others[i]);
    }
    if (leaves)
        siglongjmp(out, 1);
}

static void find_trail(void call(uint64_t), uint64_t function)
{
    call(function); /* what is done once only, is done */
    trail_length = 0;
    is_over = false;
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    call(function);
    __asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    CHECK(is_over);
    scene_read();
    CHECK_EQUAL(scene_count, 2);
}

static void call_and_interrupt(void call(uint64_t), uint64_t function, uint8_t *at)
{
    replaced = *at;
    place = at;
    write_code(at, BREAKPOINT);
    if (sigsetjmp(out, 1) == 0)
        call(function);
}

/* The hook's own record is there once, unless the handler has left it; those of the handler are before or
 * behind it, and the last two were made afterwards. */
static void check_records(unsigned kind, uint64_t function)
{
    const uint64_t made[] = {others[0], others[0], others[1], others[1], others[1], others[1]};
    size_t count = 0, own = 0;
    for (size_t i = 0; i < scene_count; i++) {
        const struct seen *seen = &scene_records[i];
        if (seen->kind == RECORD_DROPPED)
            continue;
        CHECK(i == 0 || scene_records[i - 1].kind == RECORD_DROPPED ||
              seen->ticks >= scene_records[i - 1].ticks);
        if (seen->function == function) {
            scene_check(seen, kind, function);
            own++;
        } else {
            CHECK(count < 6);
            scene_check(seen, count % 2 == 0 ? RECORD_ENTRY : RECORD_EXIT, made[count]);
            count++;
        }
    }
    CHECK_EQUAL(count, 6);
    CHECK(own == 1 || (leaves && own == 0));
}

static void interrupt_everywhere(void call(uint64_t), unsigned kind, uint64_t function)
{
    hook = (uint8_t *)(uintptr_t)(kind == RECORD_ENTRY ? __cyg_profile_func_enter : __cyg_profile_func_exit);
    find_trail(call, function);
    CHECK(trail_length > 50);
    for (size_t i = 0; i < trail_length; i += STRIDE) {
        call_and_interrupt(call, function, trail[i]);
        CHECK(place == NULL);
        scene_entry(others[1]);
        scene_exit(others[1]);
        scene_read();
        check_records(kind, function);
    }
}

int main(void)
{
    static const uint64_t functions[] = {PLAIN, READS, SAVES};
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    scene_open(__builtin_frame_address(0));
    CHECK_EQUAL(sigaction(SIGTRAP, &action, NULL), 0);
    for (int i = 0; CAN_INTERRUPT && i < 2; i++) {
        leaves = i != 0;
        for (size_t n = 0; n < 3; n++) {
            others[0] = functions[(n + 1) % 3];
            others[1] = functions[(n + 2) % 3];
            interrupt_everywhere(scene_entry, RECORD_ENTRY, functions[n]);
            interrupt_everywhere(scene_exit, RECORD_EXIT, functions[n]);
        }
    }
    scene_close();
    return 0;
}
