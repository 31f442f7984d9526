/*
 * The system calls of the agent, made directly.
 *
 * Why not through libc: the flusher runs on a thread that libc does not know (see spawn.c), so it has
 * no errno of its own; and what runs inside a hook must leave the program's errno alone. Every call
 * returns its result, or -errno.
 *
 * The seam for tests: built with CALLTRACE_FAULTS, each call first asks sys_fault(), which a test
 * defines, whether to fail.
 */
#ifndef CALLTRACE_LIFE_SYS_H
#define CALLTRACE_LIFE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "the agent runs on x86-64; another processor needs its own system call instruction here"
#endif

#ifdef CALLTRACE_FAULTS
/* Returns 0 to let system call `number` happen, or the -errno it is to fail with. */
long sys_fault(long number);
#else
static inline long sys_fault(long number)
{
    (void)number;
    return 0;
}
#endif

static inline long sys_call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result = sys_fault(number);
    if (result != 0)
        return result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long sys_call3(long number, long a, long b, long c)
{
    return sys_call6(number, a, b, c, 0, 0, 0);
}

static inline int sys_openat(int directory, const char *path, int flags, unsigned mode)
{
    return (int)sys_call6(SYS_openat, directory, (long)path, flags, mode, 0, 0);
}

static inline int sys_close(int fd)
{
    return (int)sys_call3(SYS_close, fd, 0, 0);
}

static inline long sys_read(int fd, void *buffer, size_t size)
{
    return sys_call3(SYS_read, fd, (long)buffer, (long)size);
}

static inline long sys_write(int fd, const void *buffer, size_t size)
{
    return sys_call3(SYS_write, fd, (long)buffer, (long)size);
}

/* Returns the address, or -errno as a pointer: check with sys_is_error(). */
static inline void *sys_mmap(void *at, size_t size, int protection, int flags, int fd, long offset)
{
    return (void *)sys_call6(SYS_mmap, (long)at, (long)size, protection, flags, fd, offset);
}

static inline int sys_is_error(const void *address)
{
    return (uintptr_t)address >= (uintptr_t)-4095;
}

static inline int sys_munmap(void *at, size_t size)
{
    return (int)sys_call3(SYS_munmap, (long)at, (long)size, 0);
}

static inline void *sys_mremap(void *at, size_t old_size, size_t new_size, int flags)
{
    return (void *)sys_call6(SYS_mremap, (long)at, (long)old_size, (long)new_size, flags, 0, 0);
}

static inline int sys_madvise(void *at, size_t size, int advice)
{
    return (int)sys_call3(SYS_madvise, (long)at, (long)size, advice);
}

/* Forward declared, so that what makes no network call need not include <sys/socket.h>. */
struct msghdr;

static inline long sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return sys_call3(SYS_sendmsg, fd, (long)message, flags);
}

static inline long sys_recv(int fd, void *buffer, size_t size, int flags)
{
    return sys_call6(SYS_recvfrom, fd, (long)buffer, (long)size, flags, 0, 0);
}

#endif
