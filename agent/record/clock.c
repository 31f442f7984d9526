#include "agent/record/clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "agent/life/sys.h"

bool clock_is_monotonic;

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    /* libc's clock_gettime reads the kernel's page without a system call, and touches errno only when
     * the clock does not exist. */
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void clock_choose(void)
{
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char name[8] = "";
    clock_is_monotonic = true;
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    long size = sys_read(fd, name, sizeof name);
    sys_close(fd);
    /* The kernel keeps time by the counter only after it found it constant and in step on all cores. */
    if (size >= 4 && memcmp(name, "tsc\n", 4) == 0)
        clock_is_monotonic = false;
}

struct clock_reading clock_read(void)
{
    struct clock_reading best = {0};
    uint64_t narrowest = UINT64_MAX;
    /* An interruption between the readings makes them differ: take the closest of some. */
    for (int i = 0; i < 5; i++) {
        uint64_t before = clock_ticks();
        uint64_t monotonic_ns = clock_ns(CLOCK_MONOTONIC);
        uint64_t realtime_ns = clock_ns(CLOCK_REALTIME);
        uint64_t after = clock_ticks();
        if (after - before >= narrowest)
            continue;
        narrowest = after - before;
        best.ticks = before + (after - before) / 2;
        best.monotonic_ns = monotonic_ns;
        best.realtime_ns = realtime_ns;
    }
    if (clock_is_monotonic)
        best.ticks = best.monotonic_ns;
    return best;
}
