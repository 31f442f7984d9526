#include "agent/life/altstack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "agent/life/sys.h"
#include "agent/record/layout.h"

#define AUTODISARM (1u << 31) /* SS_AUTODISARM of <linux/signal.h> */

static _Thread_local void *given; /* what this thread, or the one that forked it, was given; NULL: nothing */

/* What the kernel tells a handler of a thread that has none: 0, or SS_DISABLE once it has given one up. */
static _Thread_local int flags_of_none;

void *altstack_make(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    uint8_t *memory = sys_mmap(NULL, CALLTRACE_PAGE + ALTSTACK_BYTES, PROT_NONE, flags, -1, 0);
    if (sys_is_error(memory))
        return NULL;
    if (sys_call3(SYS_mprotect, (long)memory + CALLTRACE_PAGE, ALTSTACK_BYTES, PROT_READ | PROT_WRITE) < 0) {
        sys_munmap(memory, CALLTRACE_PAGE + ALTSTACK_BYTES);
        return NULL;
    }
    return memory + CALLTRACE_PAGE;
}

static int set(const stack_t *stack, stack_t *old)
{
    return (int)sys_call3(SYS_sigaltstack, (long)stack, (long)old, 0);
}

static stack_t ours(void)
{
    return (stack_t){.ss_sp = given, .ss_size = ALTSTACK_BYTES};
}

void altstack_give(void *stack)
{
    stack_t now;
    if (stack == NULL || set(NULL, &now) < 0 || (now.ss_flags & SS_DISABLE) == 0)
        return;
    given = stack;
    if (sys_call3(SYS_gettid, 0, 0, 0) != sys_call3(SYS_getpid, 0, 0, 0))
        flags_of_none = SS_DISABLE; /* of a new thread; a new image of a process has 0 */
    now = ours();
    if (set(&now, NULL) < 0)
        given = NULL;
}

bool altstack_take(void *stack)
{
    stack_t now;
    if (stack == NULL || given != stack)
        return true;
    given = NULL;
    if (set(NULL, &now) < 0 || now.ss_sp != stack)
        return true;
    const stack_t none = {.ss_flags = SS_DISABLE};
    return set(&none, NULL) == 0;
}

bool altstack_is_ours(const stack_t *stack)
{
    return given != NULL && stack->ss_sp == given;
}

void altstack_hide(stack_t *stack)
{
    *stack = (stack_t){.ss_flags = flags_of_none};
}

static int answer(int status)
{
    if (status == 0)
        return 0;
    errno = -status;
    return -1;
}

int altstack_set(const stack_t *stack, stack_t *old)
{
    stack_t wanted, before;
    bool gives_up = false;
    if (given == NULL)
        return answer(set(stack, old));
    if (stack != NULL) {
        wanted = *stack;
        gives_up = ((uint32_t)wanted.ss_flags & ~AUTODISARM) == SS_DISABLE;
        if (gives_up)
            wanted = ours();
    }
    int status = set(stack != NULL ? &wanted : NULL, &before);
    if (status < 0)
        return answer(status);
    if (gives_up)
        flags_of_none = stack->ss_flags;
    if (old == NULL)
        return 0;
    if (altstack_is_ours(&before))
        before = (stack_t){.ss_flags = SS_DISABLE};
    *old = before;
    return 0;
}
