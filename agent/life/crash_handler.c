/*
 * The handler of the crash signals: records, then does what would have happened without it.
 */
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "agent/life/altstack.h"
#include "agent/life/crash.h"
#include "agent/life/dispositions.h"
#include "agent/life/signal_frame.h"
#include "agent/life/sys.h"

#define ABORT_FRAME_WORDS 64
#define ABORT_CODE_BYTES 1024
#define KERNEL_ERROR_ASYNCHRONOUS 5 /* BUS_MCEERR_AO */

/* Whether it was abort() that raised the signal: then the process ends although the handler returns. */
static bool is_in_abort(int signal, const siginfo_t *info, const mcontext_t *context)
{
    if (signal != SIGABRT || info->si_code != SI_TKILL || crash_abort_code == 0)
        return false;
    const uint64_t *stack = (const uint64_t *)(uintptr_t)(context->gregs[REG_RSP] & ~7ll);
    for (int i = 0; i < ABORT_FRAME_WORDS; i++)
        if (stack[i] - crash_abort_code < ABORT_CODE_BYTES)
            return true;
    return false;
}

/* Runs where the program's handler would have run without us. */
static void run_programs_handler(int signal, siginfo_t *info, ucontext_t *context, uint64_t handler,
                                 uint64_t flags, uint64_t number)
{
    if ((flags & SA_RESETHAND) != 0)
        disposition_reset(signal);
    const stack_t altstack = context->uc_stack;
    bool hidden = altstack_is_ours(&altstack);
    if (hidden)
        altstack_hide(&context->uc_stack);
    uint64_t outer = crash_handler_frame;
    if (number != 0)
        crash_handler_frame = (uint64_t)(uintptr_t)__builtin_frame_address(0);

    ((void (*)(int, siginfo_t *, void *))(uintptr_t)handler)(signal, info, context);

    if (hidden)
        context->uc_stack = altstack; /* the kernel sets it when the handler returns */
    if (number == 0)
        return;
    crash_handler_frame = outer;
    if (!is_in_abort(signal, info, &context->uc_mcontext))
        crash_withdraw((uint32_t)number);
}

/* Whether going on leads to the same signal at once, and from the kernel itself. */
static bool recurs(int signal, const siginfo_t *info)
{
    if (info->si_code <= 0)
        return false;
    if (signal == SIGBUS)
        return info->si_code != KERNEL_ERROR_ASYNCHRONOUS;
    return signal == SIGSEGV || signal == SIGILL || signal == SIGFPE;
}

/* Sends this thread a signal that is blocked until the handler returns. */
static void send_again(int signal, siginfo_t *info)
{
    long pid = sys_call3(SYS_getpid, 0, 0, 0), tid = sys_call3(SYS_gettid, 0, 0, 0);
    if (sys_call6(SYS_rt_tgsigqueueinfo, pid, tid, signal, (long)info, 0, 0) < 0 &&
        sys_call3(SYS_tgkill, pid, tid, signal) < 0)
        sys_call3(SYS_exit_group, 128 + signal, 0, 0);
}

/* What the kernel would have done: the process ends where the signal struck, with the registers as they
 * were. */
static void end_by_default(int signal, siginfo_t *info)
{
    disposition_restore_default(signal);
    if (!recurs(signal, info))
        send_again(signal, info);
}

/* What the kernel does when it cannot put a handler's frame on the stack. */
static void end_for_want_of_stack(int signal, siginfo_t *info)
{
    if (signal == SIGSEGV) {
        end_by_default(signal, info);
        return;
    }
    siginfo_t forced = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};
    send_again(SIGSEGV, &forced);
}

/* A program that has the processor check alignment (EFLAGS.AC) has it do so in us, too. */
static uint32_t record(int signal, siginfo_t *info, const mcontext_t *context, uint64_t frame)
{
    const unsigned long long alignment_check = 1u << 18;
    unsigned long long flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(flags & ~alignment_check);
    uint32_t number = crash_record(signal, info, context, frame);
    __builtin_ia32_writeeflags_u64(flags);
    return number;
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    struct disposition chosen = disposition_of(signal);
    uint64_t handler = (uint64_t)(uintptr_t)chosen.handler;
    if (handler == (uintptr_t)SIG_IGN)
        return; /* has just been chosen by another thread */
    if (handler == (uintptr_t)SIG_DFL) {
        record(signal, info, &interrupted->uc_mcontext, 0);
        end_by_default(signal, info);
        return;
    }
    bool programs = !altstack_is_ours(&interrupted->uc_stack);
    struct signal_place place = signal_frame_place(interrupted, info, chosen.flags, programs);
    if (place.no_room) {
        record(signal, info, &interrupted->uc_mcontext, 0);
        end_for_want_of_stack(signal, info);
        return;
    }
    uint64_t frame = place.frame != 0 ? place.frame : (uint64_t)(uintptr_t)__builtin_frame_address(0);
    uint32_t number = record(signal, info, &interrupted->uc_mcontext, frame);
    uint64_t flags = (uint32_t)chosen.flags;
    if (place.frame != 0)
        signal_frame_move(place.frame, signal, interrupted, run_programs_handler, handler, flags, number);
    run_programs_handler(signal, info, interrupted, handler, flags, number);
}

void crash_watch(void)
{
    dispositions_install(on_crash);
}
