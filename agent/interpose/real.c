#include "agent/interpose/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* What a program may have loaded for one of its plugins alone: then it is not among those after ours. */
static const char *const runtimes[] = {"libgcc_s.so.1", "libstdc++.so.6", "libc++abi.so.1", "libunwind.so.1"};

static void *in_library(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL)
        return NULL;
    void *function = dlsym(handle, name);
    /* Not ours (libraries.c): nothing goes with this handle. */
    int (*close_handle)(void *) = (int (*)(void *))(uintptr_t)dlsym(RTLD_NEXT, "dlclose");
    close_handle(handle);
    return function;
}

void *real_function(const char *name)
{
    int saved = errno;
    void *function = dlsym(RTLD_NEXT, name);
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0] && function == NULL; i++)
        function = in_library(runtimes[i], name);
    errno = saved;
    return function;
}
