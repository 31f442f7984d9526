#include "agent/record/capture_memory.h"

#include <sys/uio.h>

#include "agent/life/sys.h"
#include "agent/record/layout.h"

#define PAGE_START(address) ((address) & ~(uint64_t)(CALLTRACE_PAGE - 1))
#define MOST_PARTS 256
#define MOST_AT_ONCE (64ull << 20) /* of a stack, looked at in one go */
#define PAGES_AT_ONCE 16

static struct {
    long pid;
    uint32_t count;
    struct {
        uint64_t begin, end;
    } parts[MOST_PARTS];
} memory;

static bool is_within(uint64_t address, uint64_t begin, uint64_t end)
{
    return address - begin < end - begin;
}

/* How many bytes from the address on last as long as the process does; 0: none are known to. */
static size_t lasting_bytes(uint64_t address)
{
    uint32_t count = __atomic_load_n(&memory.count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++)
        if (is_within(address, memory.parts[i].begin, memory.parts[i].end))
            return memory.parts[i].end - address;
    return 0;
}

/* How many bytes from the address on can be read directly; 0: none are known. */
static size_t direct_bytes(const struct capture_context *context, uint64_t address)
{
    uint64_t frame = context->registers->general[CAPTURE_STACK_POINTER];
    if (frame < context->stack_end && is_within(address, frame, context->stack_end))
        return context->stack_end - address;
    return lasting_bytes(address);
}

static UNCHECKED void copy(uint8_t *to, uint64_t address, size_t size)
{
    const uint8_t *from = (const uint8_t *)(uintptr_t)address;
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
}

static long this_process(void)
{
    long pid = __atomic_load_n(&memory.pid, __ATOMIC_RELAXED);
    if (pid == 0) {
        pid = sys_call3(SYS_getpid, 0, 0, 0);
        __atomic_store_n(&memory.pid, pid, __ATOMIC_RELAXED);
    }
    return pid;
}

static bool read_by_kernel(uint64_t address, void *to, size_t size)
{
    struct iovec local = {to, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    return sys_call6(SYS_process_vm_readv, this_process(), (long)&local, 1, (long)&remote, 1, 0) ==
           (long)size;
}

bool capture_read(const struct capture_context *context, uint64_t address, void *to, size_t size)
{
    if (direct_bytes(context, address) < size)
        return read_by_kernel(address, to, size);
    copy(to, address, size);
    return true;
}

/* Copies up to a zero, or `most` bytes; returns how many came before it, or `most`. */
static UNCHECKED size_t copy_text(uint8_t *to, uint64_t address, size_t most)
{
    const volatile uint8_t *from = (const volatile uint8_t *)(uintptr_t)address;
    for (size_t i = 0; i < most; i++) {
        uint8_t byte = from[i];
        if (byte == 0)
            return i;
        to[i] = byte;
    }
    return most;
}

size_t capture_read_text(const struct capture_context *context, uint64_t address, uint8_t *to, size_t most)
{
    size_t length = 0;
    while (length < most) {
        size_t part = direct_bytes(context, address + length);
        bool is_direct = part != 0;
        if (!is_direct)
            part = CALLTRACE_PAGE - ((address + length) & (CALLTRACE_PAGE - 1));
        if (part > most - length)
            part = most - length;
        /* What was read by the kernel is looked at where it has been put. */
        uint64_t from = is_direct ? address + length : (uint64_t)(uintptr_t)(to + length);
        if (!is_direct && !read_by_kernel(address + length, to + length, part))
            return CAPTURE_NOT_READABLE;
        size_t before = copy_text(to + length, from, part);
        length += before;
        if (before < part)
            return length;
    }
    return most;
}

/* Whether all pages between two addresses can be read. */
static bool is_mapped(uint64_t begin, uint64_t end)
{
    char bytes[PAGES_AT_ONCE];
    struct iovec remote[PAGES_AT_ONCE];
    for (uint64_t page = PAGE_START(begin); page < end;) {
        long count = 0;
        for (; count < PAGES_AT_ONCE && page < end; page += CALLTRACE_PAGE)
            remote[count++] = (struct iovec){(void *)(uintptr_t)page, 1};
        struct iovec local = {bytes, (size_t)count};
        if (sys_call6(SYS_process_vm_readv, this_process(), (long)&local, 1, (long)remote, count, 0) != count)
            return false;
    }
    return true;
}

uint64_t capture_stack_low(uint64_t stack_pointer, uint64_t low, uint64_t base)
{
    if (stack_pointer >= low || stack_pointer >= base || low - stack_pointer > MOST_AT_ONCE)
        return low;
    uint64_t page = PAGE_START(stack_pointer);
    return is_mapped(page, low) ? page : low;
}

void capture_memory_lasts(uint64_t begin, uint64_t end)
{
    if (memory.count == MOST_PARTS || begin >= end)
        return;
    memory.parts[memory.count].begin = begin;
    memory.parts[memory.count].end = end;
    __atomic_store_n(&memory.count, memory.count + 1, __ATOMIC_RELEASE);
}

bool capture_memory_is_lasting(uint64_t address)
{
    return lasting_bytes(address) != 0;
}

void capture_memory_forget(void)
{
    __atomic_store_n(&memory.count, 0, __ATOMIC_RELEASE);
    memory.pid = 0;
}
