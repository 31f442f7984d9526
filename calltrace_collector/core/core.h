/* The core's interface for C: core.cdef.h with the headers that it needs. */
#ifndef CALLTRACE_CORE_CORE_H
#define CALLTRACE_CORE_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "calltrace_collector/core/core.cdef.h"

#endif
