#include "agent/life/signal_frame.h"

#include <stddef.h>
#include <string.h>

#include "agent/life/sys.h"

/* struct rt_sigframe of arch/x86/include/asm/sigframe.h: the address of libc's restorer, the kernel's
 * ucontext (shorter than libc's), siginfo. The floating-point state lies above, anywhere. */
#define RETURN_BYTES 8
#define CONTEXT_BYTES 304
#define FRAME_BYTES (RETURN_BYTES + CONTEXT_BYTES + sizeof(siginfo_t))
#define RED_ZONE_BYTES 128
#define KERNEL_SIGSET_BYTES 8

/* struct _fpx_sw_bytes, in what FXSAVE leaves to software. */
#define FXSAVE_BYTES 512
#define SOFTWARE_OFFSET 464
#define EXTENDED_MAGIC 0x46505853u
#define LARGEST_STATE (64u << 10)

static size_t state_bytes(const ucontext_t *context)
{
    const uint8_t *state = (const uint8_t *)context->uc_mcontext.fpregs;
    uint32_t software[2];
    if (state == NULL)
        return 0;
    memcpy(software, state + SOFTWARE_OFFSET, sizeof software);
    if (software[0] != EXTENDED_MAGIC || software[1] > LARGEST_STATE)
        return FXSAVE_BYTES;
    return software[1];
}

static bool is_on(const stack_t *stack, uint64_t address)
{
    return (stack->ss_flags & SS_DISABLE) == 0 &&
           address - (uint64_t)(uintptr_t)stack->ss_sp < stack->ss_size;
}

/* Where the kernel puts the state, and the frame below it, given the interrupted stack pointer. */
static uint64_t place_state(uint64_t stack_pointer, size_t bytes)
{
    return (stack_pointer - RED_ZONE_BYTES - bytes) & ~63ull;
}

static uint64_t place_frame(uint64_t state)
{
    return ((state - FRAME_BYTES) & ~15ull) - 8; /* as if it had been called */
}

/* Lets the kernel write there, which answers where we would be killed. */
static bool can_write(uint64_t address)
{
    return sys_call6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)(address & ~7ull), KERNEL_SIGSET_BYTES, 0, 0) ==
           0;
}

struct signal_place signal_frame_place(const ucontext_t *context, const siginfo_t *info, int flags,
                                       bool programs_altstack)
{
    struct signal_place place = {0};
    uint64_t interrupted = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
    const stack_t *altstack = &context->uc_stack;
    if (!is_on(altstack, (uint64_t)(uintptr_t)context) || is_on(altstack, interrupted))
        return place;
    if ((flags & SA_ONSTACK) != 0 && programs_altstack)
        return place;
    if ((const uint8_t *)info - (const uint8_t *)context != CONTEXT_BYTES)
        return place; /* not a frame that we know */
    uint64_t state = place_state(interrupted, state_bytes(context));
    place.frame = place_frame(state);
    place.no_room =
        !can_write(place.frame) || !can_write(state) || !can_write(interrupted - RED_ZONE_BYTES - 8);
    return place;
}

static _Noreturn void go_on(uint64_t frame, int signal, siginfo_t *info, ucontext_t *context,
                            signal_continuation *then, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t r8 __asm__("r8") = b;
    register uint64_t r9 __asm__("r9") = c;
    __asm__ volatile("movq %[frame], %%rsp\n\t"
                     "jmpq *%[then]"
                     :
                     : [frame] "r"(frame), [then] "r"(then), "D"((long)signal), "S"(info), "d"(context),
                       "c"(a), "r"(r8), "r"(r9)
                     : "memory");
    __builtin_unreachable();
}

_Noreturn void signal_frame_move(uint64_t to, int signal, ucontext_t *context, signal_continuation *then,
                                 uint64_t a, uint64_t b, uint64_t c)
{
    size_t bytes = state_bytes(context);
    uint64_t state = place_state((uint64_t)context->uc_mcontext.gregs[REG_RSP], bytes);
    uint8_t *frame = (uint8_t *)(uintptr_t)to;
    memcpy(frame, (const uint8_t *)context - RETURN_BYTES, FRAME_BYTES);
    ucontext_t *moved = (ucontext_t *)(void *)(frame + RETURN_BYTES);
    if (bytes > 0) {
        memcpy((void *)(uintptr_t)state, context->uc_mcontext.fpregs, bytes);
        moved->uc_mcontext.fpregs = (fpregset_t)(uintptr_t)state;
    }
    siginfo_t *info = (siginfo_t *)(void *)(frame + RETURN_BYTES + CONTEXT_BYTES);
    go_on(to, signal, info, moved, then, a, b, c);
}
