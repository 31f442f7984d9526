#include "agent/life/limits.h"

#include <sys/resource.h>

#include "agent/life/file.h"
#include "agent/record/layout.h"

#define PART 8
#define LEAST_BYTES (2u * OUTBOX_SEGMENT_BYTES)

/* The process's address space in use: the first number in /proc/self/statm, in pages. */
static uint64_t used_bytes(void)
{
    char text[128];
    uint64_t pages = 0;
    file_read("/proc/self/statm", text, sizeof text);
    for (const char *at = text; *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (uint64_t)(*at - '0');
    return pages * CALLTRACE_PAGE;
}

uint64_t limits_outbox_bytes(uint64_t wanted)
{
    struct rlimit64 limit;
    long status = sys_call6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);
    if (status < 0 || limit.rlim_cur == RLIM64_INFINITY)
        return wanted;
    uint64_t used = used_bytes();
    uint64_t part = limit.rlim_cur > used ? (limit.rlim_cur - used) / PART : 0;
    if (part < LEAST_BYTES)
        return 0;
    return part < wanted ? part : wanted;
}
