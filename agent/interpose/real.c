#include "agent/interpose/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* A library that the program has loaded for itself alone is not among those that come after ours. */
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
    if (function == NULL)
        function = in_library("libgcc_s.so.1", name);
    if (function == NULL)
        function = in_library("libstdc++.so.6", name);
    errno = saved;
    return function;
}
