/* Hooks that count the calls of a program that does not count them itself, and print the number at its end.
 */
#include <stdio.h>

#define HOOK __attribute__((visibility("default")))

static long calls;

HOOK void __cyg_profile_func_enter(void *function, void *call_site);
HOOK void __cyg_profile_func_exit(void *function, void *call_site);

void __cyg_profile_func_enter(void *function, void *call_site)
{
    (void)function;
    (void)call_site;
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

void __cyg_profile_func_exit(void *function, void *call_site)
{
    (void)function;
    (void)call_site;
}

/* Loaded first, so called last. */
static __attribute__((destructor)) void print_calls(void)
{
    printf("calls %ld\n", calls);
    fflush(stdout);
}
