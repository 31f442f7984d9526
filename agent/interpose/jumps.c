/*
 * longjmp: the calls that a jump leaves end right then.
 */
#include <setjmp.h>
#include <stdint.h>

#include "agent/interpose/real.h"
#include "agent/life/crash.h"
#include "agent/record/record.h"

/* Where glibc keeps the stack pointer in a jmp_buf of x86-64, mixed with the thread's pointer guard. */
#define SAVED_STACK_POINTER 6
#define GUARD_ROTATION 17

typedef void (*jump)(struct __jmp_buf_tag *, int) __attribute__((noreturn));

static void *real_longjmp, *real_underscore_longjmp, *real_siglongjmp, *real_longjmp_chk;

static uint64_t pointer_guard(void)
{
    uint64_t guard;
    __asm__("movq %%fs:0x30, %0" : "=r"(guard));
    return guard;
}

/* The stack pointer that the function will have to which it jumps; 0 when that makes no sense. */
static uint64_t target(const struct __jmp_buf_tag *environment)
{
    uint64_t mixed = (uint64_t)environment->__jmpbuf[SAVED_STACK_POINTER];
    uint64_t stack_pointer = (mixed >> GUARD_ROTATION | mixed << (64 - GUARD_ROTATION)) ^ pointer_guard();
    return stack_pointer < 1ull << 47 && (stack_pointer & 15) == 0 ? stack_pointer : 0;
}

static void note_jump(const struct __jmp_buf_tag *environment, uint64_t stack_pointer)
{
    uint64_t to = target(environment);
    if (to == 0)
        return;
    record_note(NOTE_JUMP, to, stack_pointer);
    crash_jump(to);
}

static __attribute__((constructor)) void find_real(void)
{
    real_once(&real_longjmp, "longjmp");
    real_once(&real_underscore_longjmp, "_longjmp");
    real_once(&real_siglongjmp, "siglongjmp");
    real_once(&real_longjmp_chk, "__longjmp_chk");
}

EXPORT void longjmp(struct __jmp_buf_tag environment[1], int value)
{
    note_jump(environment, STACK_POINTER());
    ((jump)real_once(&real_longjmp, "longjmp"))(environment, value);
}

EXPORT void _longjmp(struct __jmp_buf_tag environment[1], int value)
{
    note_jump(environment, STACK_POINTER());
    ((jump)real_once(&real_underscore_longjmp, "_longjmp"))(environment, value);
}

EXPORT void siglongjmp(struct __jmp_buf_tag environment[1], int value)
{
    note_jump(environment, STACK_POINTER());
    ((jump)real_once(&real_siglongjmp, "siglongjmp"))(environment, value);
}

/* What _FORTIFY_SOURCE makes of them. */
EXPORT __attribute__((noreturn)) void __longjmp_chk(struct __jmp_buf_tag environment[1], int value)
{
    note_jump(environment, STACK_POINTER());
    ((jump)real_once(&real_longjmp_chk, "__longjmp_chk"))(environment, value);
}
