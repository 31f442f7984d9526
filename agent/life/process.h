/*
 * What this process is, as the first message of its stream.
 */
#ifndef CALLTRACE_LIFE_PROCESS_H
#define CALLTRACE_LIFE_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/record/clock.h"

/* Writes the AgentMessage that describes this process. Returns its size; 0: it does not fit. */
size_t process_describe(uint8_t *at, size_t size, const char *session_directory,
                        const struct clock_reading *clock);

/* Field 22 of /proc/self/stat: with the pid, which process of this boot this is. 0: not to be had. */
uint64_t process_start_time(void);

#endif
