#include "agent/life/crash.h"

#include <asm/prctl.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "agent/interpose/uncaught.h"
#include "agent/life/agent.h"
#include "agent/life/dispositions.h"
#include "agent/life/futex.h"
#include "agent/life/sys.h"
#include "agent/record/clock.h"
#include "agent/record/ring.h"

/* Programs that use faults as a mechanism are not to be slowed down: this many of those that they handle
 * are recorded. */
#define MOST_HANDLED 16
#define WAIT_STEP_NS 100000000ull

_Thread_local uint64_t crash_handler_frame;
uint64_t crash_abort_message;
uint64_t crash_abort_code;

static struct {
    struct crash_slot *slot; /* NULL: nothing is recorded */
    uint32_t pid;            /* whose it is */
    uint32_t handled;        /* how many were recorded that the program handles */
} crash;

/* mcontext_t has the registers in the kernel's order, DWARF numbers them in another. */
static const uint8_t registers_in_order[CRASH_GENERAL_REGISTERS] = {
    REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
    REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
};
enum { STACK_POINTER = 7, INSTRUCTION_POINTER = 16 };

static uint32_t own_pid(void)
{
    return (uint32_t)sys_call3(SYS_getpid, 0, 0, 0);
}

static uint32_t own_tid(void)
{
    return (uint32_t)sys_call3(SYS_gettid, 0, 0, 0);
}

/* Whether the slot is there: not in a child that has inherited the rest. */
static bool has_slot(void)
{
    if (__atomic_load_n(&agent.state, __ATOMIC_ACQUIRE) != AGENT_RUNNING || crash.slot == NULL)
        return false;
    const uint32_t *here = agent.here;
    return here != NULL && __atomic_load_n(here, __ATOMIC_RELAXED) != 0;
}

/* Nor in a child that shares this memory. */
static bool is_recording(void)
{
    return has_slot() && crash.pid == own_pid();
}

/* Whether the code with this stack pointer was called, however deep, by the handler whose frame is given. */
static bool is_inside(uint64_t frame, uint64_t stack_pointer)
{
    stack_t alternate = {.ss_flags = SS_DISABLE};
    sys_call3(SYS_sigaltstack, 0, (long)&alternate, 0);
    uint64_t low = (uint64_t)(uintptr_t)alternate.ss_sp;
    uint64_t size = (alternate.ss_flags & SS_DISABLE) != 0 ? 0 : alternate.ss_size;
    bool frame_is_there = frame - low < size;
    bool code_is_there = stack_pointer - low < size;
    /* A handler with a stack of its own is called from the thread's, and not the other way round. */
    if (frame_is_there != code_is_there)
        return code_is_there;
    return stack_pointer < frame;
}

static uint32_t state_of(const struct crash_slot *slot)
{
    return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
}

static bool change_state(struct crash_slot *slot, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&slot->state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Whether what is in the slot is this thread's; another may be filling it. */
static bool is_own(const struct crash_slot *slot)
{
    return __atomic_load_n(&slot->tid, __ATOMIC_RELAXED) == own_tid();
}

/* Waits until the flusher is done with what is in the slot. */
static void wait_for_flusher(struct crash_slot *slot)
{
    uint64_t end_ns = clock_monotonic_ns() + CRASH_PATIENCE_NS;
    uint32_t state;
    while ((state = state_of(slot)) == CRASH_FILLING || state == CRASH_FILLED) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= end_ns)
            return;
        uint64_t left_ns = end_ns - now_ns;
        futex_wait(&slot->state, state, left_ns < WAIT_STEP_NS ? left_ns : WAIT_STEP_NS);
    }
}

/* Whether the handler of the recorded crash is done with it, or never was called. */
static bool is_over(const struct crash_slot *slot, uint64_t stack_pointer)
{
    if ((slot->flags & CRASH_HANDLED) == 0 || !is_own(slot))
        return false;
    return !is_inside(slot->handler_frame, stack_pointer);
}

/* A handler that has done its work raises the signal anew, to die of it. It arrives when the handler has
 * returned, where the first one struck. */
static bool is_the_same_again(const struct crash_slot *slot, int signal, const siginfo_t *info,
                              const greg_t *registers)
{
    return slot->number != 0 && info->si_code <= 0 && (uint32_t)info->si_pid == crash.pid &&
           slot->signal == signal && is_own(slot) &&
           slot->general[INSTRUCTION_POINTER] == (uint64_t)registers[REG_RIP] &&
           slot->general[STACK_POINTER] == (uint64_t)registers[REG_RSP];
}

/* Takes the slot, to fill it. Returns false when it holds, or comes to hold, what is to be kept. */
static bool claim(struct crash_slot *slot, uint64_t stack_pointer)
{
    while (!change_state(slot, CRASH_NONE, CRASH_FILLING)) {
        if (state_of(slot) != CRASH_WRITTEN) {
            wait_for_flusher(slot);
            if (state_of(slot) == CRASH_FILLING || state_of(slot) == CRASH_FILLED)
                return false; /* for longer than anybody waits */
            continue;
        }
        if (!is_over(slot, stack_pointer))
            return false;
        change_state(slot, CRASH_WRITTEN, CRASH_NONE);
    }
    return true;
}

static void fill_signal(struct crash_slot *slot, int signal, const siginfo_t *info)
{
    bool by_kernel = info->si_code > 0;
    slot->signal = signal;
    slot->code = info->si_code;
    slot->error_number = info->si_errno;
    slot->fault_address = by_kernel ? (uint64_t)(uintptr_t)info->si_addr : 0;
    slot->sender_pid = by_kernel ? 0 : (uint32_t)info->si_pid;
    slot->sender_user_id = by_kernel ? 0 : info->si_uid;
}

static void fill_registers(struct crash_slot *slot, const mcontext_t *context)
{
    for (int i = 0; i < CRASH_GENERAL_REGISTERS; i++)
        slot->general[i] = (uint64_t)context->gregs[registers_in_order[i]];
    slot->cpu_flags = (uint64_t)context->gregs[REG_EFL];
    slot->segments = (uint64_t)context->gregs[REG_CSGSFS];
    slot->trap_number = (uint64_t)context->gregs[REG_TRAPNO];
    slot->trap_error = (uint64_t)context->gregs[REG_ERR];
    sys_call3(SYS_arch_prctl, ARCH_GET_FS, (long)&slot->fs_base, 0);
    sys_call3(SYS_arch_prctl, ARCH_GET_GS, (long)&slot->gs_base, 0);
    if (context->fpregs == NULL)
        return;
    memcpy(slot->fxsave, context->fpregs, sizeof slot->fxsave);
    slot->flags |= CRASH_HAS_FXSAVE;
}

static void fill_thread(struct crash_slot *slot)
{
    __atomic_store_n(&slot->tid, own_tid(), __ATOMIC_RELAXED);
    sys_call3(SYS_prctl, PR_GET_NAME, (long)slot->thread_name, 0);
    const struct ring_header *ring = ring_producer->ring;
    if (ring == NULL)
        return;
    slot->thread = ring->thread;
    slot->flags |= CRASH_HAS_THREAD;
}

static void fill(struct crash_slot *slot, int signal, const siginfo_t *info, const mcontext_t *context)
{
    slot->flags = 0;
    slot->number++;
    fill_thread(slot);
    fill_signal(slot, signal, info);
    fill_registers(slot, context);
    slot->flags |= uncaught_copy(slot, (uint64_t)context->gregs[REG_RSP]);
    struct clock_reading reading = clock_read();
    slot->ticks = reading.ticks;
    slot->monotonic_ns = reading.monotonic_ns;
    slot->realtime_ns = reading.realtime_ns;
}

/* Whether no more is to be recorded of what the program handles. */
static bool is_handled_too_often(void)
{
    return __atomic_load_n(&crash.handled, __ATOMIC_RELAXED) >= MOST_HANDLED;
}

static void set_state(struct crash_slot *slot, uint32_t state)
{
    __atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
    futex_wake_all(&slot->state);
}

uint32_t crash_record(int signal, const siginfo_t *info, const mcontext_t *context, uint64_t handler_frame)
{
    struct crash_slot *slot = crash.slot;
    bool handled = handler_frame != 0;
    if (handled && is_handled_too_often() && has_slot() && state_of(slot) == CRASH_NONE)
        return 0; /* at once: the program may do this all the time */
    if (!is_recording() || !claim(slot, (uint64_t)context->gregs[REG_RSP]))
        return 0;
    if (!handled && is_the_same_again(slot, signal, info, context->gregs)) {
        set_state(slot, CRASH_WRITTEN);
        return 0;
    }
    if (handled && __atomic_fetch_add(&crash.handled, 1, __ATOMIC_RELAXED) >= MOST_HANDLED) {
        set_state(slot, CRASH_NONE);
        return 0;
    }
    fill(slot, signal, info, context);
    slot->handler_frame = handler_frame;
    if (handled)
        slot->flags |= CRASH_HANDLED;
    else
        ring_settle(ring_producer); /* a hook that it interrupted will not go on */
    uint32_t number = slot->number;
    set_state(slot, CRASH_FILLED);
    agent_wake_flusher();
    wait_for_flusher(slot);
    return number;
}

void crash_withdraw(uint32_t number)
{
    struct crash_slot *slot = crash.slot;
    if (!is_recording() || slot->number != number)
        return;
    if (!change_state(slot, CRASH_WRITTEN, CRASH_NONE))
        change_state(slot, CRASH_FILLED, CRASH_NONE);
}

void crash_leave(uint64_t stack_pointer)
{
    if (is_inside(crash_handler_frame, stack_pointer))
        return;
    crash_handler_frame = 0;
    struct crash_slot *slot = crash.slot;
    if (is_recording() && (slot->flags & CRASH_HANDLED) != 0 && is_own(slot))
        crash_withdraw(slot->number);
}

bool crash_prepare(void)
{
    /* dlsym() waits for libc's list of loaded objects, which it must not do later. */
    crash_abort_message = (uint64_t)(uintptr_t)dlvsym(RTLD_DEFAULT, "__abort_msg", "GLIBC_PRIVATE");
    crash_abort_code = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "abort");
    return dispositions_prepare();
}

void crash_open(struct crash_slot *slot)
{
    crash.pid = own_pid();
    crash.handled = 0;
    crash.slot = slot;
}

void crash_forked(void)
{
    crash.slot = NULL;
    crash_handler_frame = 0;
    dispositions_forked();
}
