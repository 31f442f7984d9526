/*
 * ucontext: coroutines have stacks of their own.
 *
 * makecontext() takes any number of arguments, so it is left as it was entered, and jumps on.
 */
#include <stdint.h>
#include <ucontext.h>

#include "agent/interpose/real.h"
#include "agent/life/crash.h"
#include "agent/record/record.h"

typedef int swap_function(ucontext_t *, const ucontext_t *);
typedef int set_function(const ucontext_t *);

static void *real_makecontext, *real_swapcontext, *real_setcontext;

static __attribute__((constructor)) void find_real(void)
{
    real_once(&real_makecontext, "makecontext");
    real_once(&real_swapcontext, "swapcontext");
    real_once(&real_setcontext, "setcontext");
}

/* Called by makecontext(), with its first argument; returns where to jump. */
__attribute__((used, visibility("hidden"))) void *contexts_note_stack(const ucontext_t *context)
{
    uint64_t size = (uint64_t)context->uc_stack.ss_size >> NOTE_SIZE_UNIT_SHIFT << NOTE_SIZE_SHIFT;
    record_note(NOTE_STACK | (size & RECORD_ADDRESS_MASK), (uint64_t)(uintptr_t)context->uc_stack.ss_sp,
                STACK_POINTER());
    return real_once(&real_makecontext, "makecontext");
}

__asm__(".text\n"
        ".globl makecontext\n"
        ".type makecontext, @function\n"
        "makecontext:\n"
        ".cfi_startproc\n"
        "pushq %rdi\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %rsi\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %rdx\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %rcx\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %r8\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %r9\n\t.cfi_adjust_cfa_offset 8\n"
        "pushq %rax\n\t.cfi_adjust_cfa_offset 8\n"
        "call contexts_note_stack\n"
        "movq %rax, %r11\n"
        "popq %rax\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %r9\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %r8\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %rcx\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %rdx\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %rsi\n\t.cfi_adjust_cfa_offset -8\n"
        "popq %rdi\n\t.cfi_adjust_cfa_offset -8\n"
        "jmpq *%r11\n"
        ".cfi_endproc\n"
        ".size makecontext, . - makecontext\n");

static void note_switch(const ucontext_t *to, uint64_t stack_pointer)
{
    record_note(NOTE_SWITCH, (uint64_t)to->uc_mcontext.gregs[REG_RSP], stack_pointer);
}

EXPORT int swapcontext(ucontext_t *from, const ucontext_t *to)
{
    swap_function *swap = (swap_function *)real_once(&real_swapcontext, "swapcontext");
    note_switch(to, STACK_POINTER());
    return swap(from, to);
}

EXPORT int setcontext(const ucontext_t *to)
{
    set_function *set = (set_function *)real_once(&real_setcontext, "setcontext");
    note_switch(to, STACK_POINTER());
    crash_jump((uint64_t)to->uc_mcontext.gregs[REG_RSP]);
    return set(to);
}
