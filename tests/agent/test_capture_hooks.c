/* Hooks that capture: what they record, what they leave alone, and how they nest in each other's programs. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "agent/life/sys.h"
#include "agent/record/capture.h"
#include "agent/record/ring.h"
#include "tests/agent/capture_scene.h"
#include "tests/agent/check.h"

#define ALTERNATE_STACK_BYTES (64u << 10)

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

static void call_pair(uint64_t function)
{
    scene_entry(function);
    scene_exit(function);
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

static void handle(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER | flags};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
}

/* A hook in the handler is interrupted in turn, by a handler that leaves both. */
static void leave_from_within(int signal)
{
    (void)signal;
    at_read = interrupt;
    handle(leave_handler, 0);
    scene_entry(READS);
    CHECK(false);
}

static void call_and_leave_from_within(int signal)
{
    call_in_handler(signal);
    leave_from_within(signal);
}

/* ---- checks ---- */

static void check_registers(void)
{
    struct capture_registers set = scene_registers(SAVES), got;
    for (int i = 0; i < 2; i++) {
        uint32_t before = 0x7f80, after = 0; /* towards zero */
        __asm__ volatile("ldmxcsr %0" : : "m"(before));
        errno = 4242;
        (i == 0 ? saves_entry : saves_exit)(&set, &got);
        __asm__ volatile("stmxcsr %0" : "=m"(after));
        CHECK_EQUAL(after, before);
        CHECK_EQUAL(errno, 4242);
        set.general[CAPTURE_STACK_POINTER] = got.general[CAPTURE_STACK_POINTER];
        CHECK(memcmp(&set, &got, sizeof set) == 0);
        scene_read();
        CHECK_EQUAL(scene_count, 1);
        scene_check(&scene_records[0], i == 0 ? RECORD_ENTRY : RECORD_EXIT, SAVES);
        CHECK_EQUAL(scene_value(&scene_records[0], CAPTURE_STACK_POINTER),
                    got.general[CAPTURE_STACK_POINTER]);
    }
}

static void check_without_values(void)
{
    struct capture_registers set = scene_registers(PLAIN), got;
    call_pair(PLAIN);
    saves_entry(&set, &got); /* its plan is for another function */
    saves_exit(&set, &got);
    capture_is_on = false;
    scene_entry(SAVES);
    scene_exit(SAVES);
    capture_is_on = true;
    scene_read();
    CHECK_EQUAL(scene_count, 6);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQUAL(scene_records[i].kind, i % 2 == 0 ? RECORD_ENTRY : RECORD_EXIT);
        CHECK_EQUAL(scene_records[i].function, i < 4 ? PLAIN : SAVES);
        CHECK(scene_records[i].values == NULL);
        CHECK(i == 0 || scene_records[i].ticks >= scene_records[i - 1].ticks);
    }
}

static void check_reading(void)
{
    call_pair(READS);
    scene_read();
    CHECK_EQUAL(scene_count, 2);
    scene_check(&scene_records[0], RECORD_ENTRY, READS);
    scene_check(&scene_records[1], RECORD_EXIT, READS);
}

/* The four calls of call_in_handler(), from a record on. */
static void check_those_of_handler(size_t i)
{
    scene_check(&scene_records[i], RECORD_ENTRY, PLAIN);
    scene_check(&scene_records[i + 1], RECORD_EXIT, PLAIN);
    scene_check(&scene_records[i + 2], RECORD_ENTRY, SAVES);
    scene_check(&scene_records[i + 3], RECORD_EXIT, SAVES);
}

/* A handler's events lie behind the one that it interrupted, and that one is whole. */
static void check_nesting(void)
{
    handle(call_in_handler, 0);
    for (int i = 0; i < 2; i++) {
        at_read = interrupt;
        (i == 0 ? scene_entry : scene_exit)(READS);
        scene_read();
        CHECK_EQUAL(scene_count, 5);
        scene_check(&scene_records[0], i == 0 ? RECORD_ENTRY : RECORD_EXIT, READS);
        check_those_of_handler(1);
        CHECK(scene_records[1].ticks >= scene_records[0].ticks);
    }
}

/* A handler that does not return leaves void records in the place of the hooks that it interrupted. */
static void check_abandoned(void (*handler)(int), size_t voids, size_t handlers_records, int flags)
{
    for (volatile int i = 0; i < 2; i++) {
        handle(handler, flags);
        at_read = interrupt;
        if (sigsetjmp(out, 1) == 0) {
            (i == 0 ? scene_entry : scene_exit)(READS);
            CHECK(false);
        }
        /* From no deeper than the hook that was left, which is how that is seen. */
        scene_entry(SAVES);
        scene_exit(SAVES);
        scene_read();
        CHECK_EQUAL(scene_count, voids + handlers_records + 2);
        CHECK_EQUAL(scene_records[0].kind, RECORD_DROPPED);
        if (handlers_records != 0)
            check_those_of_handler(1);
        if (voids == 2)
            CHECK_EQUAL(scene_records[1 + handlers_records].kind, RECORD_DROPPED);
        scene_check(&scene_records[scene_count - 2], RECORD_ENTRY, SAVES);
        scene_check(&scene_records[scene_count - 1], RECORD_EXIT, SAVES);
    }
}

/* Records of many sizes cross the end of the ring. */
static void check_around_the_ring(const struct ring_header *ring)
{
    static const uint64_t functions[] = {SAVES, READS, PLAIN};
    while (ring->head < 3 * RING_WORDS) {
        uint64_t function = functions[ring->head % 3];
        call_pair(function);
        scene_read();
        CHECK_EQUAL(scene_count, 2);
        scene_check(&scene_records[0], RECORD_ENTRY, function);
        scene_check(&scene_records[1], RECORD_EXIT, function);
    }
}

static void check_interruptions(void)
{
    static char alternate[ALTERNATE_STACK_BYTES];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    check_nesting();
    check_abandoned(leave_handler, 1, 0, 0);
    check_abandoned(call_and_leave_handler, 1, 4, 0);
    check_abandoned(leave_from_within, 2, 0, 0);
    check_abandoned(call_and_leave_from_within, 2, 4, 0);
    CHECK_EQUAL(sigaltstack(&stack, NULL), 0);
    check_abandoned(call_and_leave_handler, 1, 4, SA_ONSTACK);
}

int main(void)
{
    struct ring_header *ring = scene_open(__builtin_frame_address(0));
    check_registers();
    check_without_values();
    check_reading();
    if (CAN_INTERRUPT)
        check_interruptions();
    check_around_the_ring(ring);
    scene_close();
    return 0;
}
