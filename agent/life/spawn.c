#include "agent/life/spawn.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>

#include "agent/life/memory.h"
#include "agent/life/sys.h"

#ifdef CALLTRACE_PTHREAD_FLUSHER

#include <pthread.h>

static void *enter(void *main_function)
{
    sys_call3(SYS_unshare, CLONE_FILES | CLONE_FS, 0, 0);
    ((void (*)(void))(uintptr_t)main_function)();
    return NULL;
}

int spawn_thread(void (*main_function)(void))
{
    pthread_t thread;
    int status = pthread_create(&thread, NULL, enter, (void *)(uintptr_t)main_function);
    if (status == 0)
        pthread_detach(thread);
    return -status;
}

#else

#define STACK_BYTES (256u << 10)
/* libc keeps a thread's own block around the thread pointer: its variables below, its descriptor above.
 * Ours is zeroed and belongs to nobody, so that a stray access hits nothing of the program's. */
#define BLOCK_BYTES (64u << 10)

/* Where tcbhead_t of the x86-64 ABI has the block's own address twice, and the two guards. */
enum { SELF = 0, DESCRIPTOR = 2, STACK_GUARD = 5, POINTER_GUARD = 6 };

static uint64_t own_block_word(int index)
{
    uint64_t word;
    __asm__("movq %%fs:(%1), %0" : "=r"(word) : "r"((uint64_t)index * 8));
    return word;
}

static void *make_thread_block(uint8_t *memory)
{
    uint64_t *block = (uint64_t *)(memory + BLOCK_BYTES / 2);
    block[SELF] = (uint64_t)(uintptr_t)block;
    block[DESCRIPTOR] = (uint64_t)(uintptr_t)block;
    block[STACK_GUARD] = own_block_word(STACK_GUARD);
    block[POINTER_GUARD] = own_block_word(POINTER_GUARD);
    return block;
}

/* clone(2), whose child starts on a stack that holds nothing but its function. */
static long clone_thread(unsigned long flags, void *stack, void *block)
{
    long result;
    register void *r8 __asm__("r8") = block;
    register long r10 __asm__("r10") = 0;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "popq %%rax\n\t"
                     "callq *%%rax\n\t"
                     "movl %[exit], %%eax\n\t"
                     "xorl %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(0L), "r"(r10),
                       "r"(r8), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
    return result;
}

int spawn_thread(void (*main_function)(void))
{
    uint8_t *memory = memory_get(STACK_BYTES + BLOCK_BYTES);
    if (memory == NULL)
        return -ENOMEM;
    /* popq leaves the stack pointer 16-aligned before the call, as the ABI asks. */
    uint64_t *stack = (uint64_t *)(memory + STACK_BYTES) - 1;
    *stack = (uint64_t)(uintptr_t)main_function;
    void *block = make_thread_block(memory + STACK_BYTES);
    const unsigned long flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;
    long thread = clone_thread(flags, stack, block);
    if (thread >= 0)
        return 0;
    memory_put(memory, STACK_BYTES + BLOCK_BYTES);
    return (int)thread;
}

#endif
