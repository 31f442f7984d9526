/*
 * What the user allows the program to use: the agent takes a small part of it, or nothing.
 */
#ifndef CALLTRACE_LIFE_LIMITS_H
#define CALLTRACE_LIFE_LIMITS_H

#include <stdint.h>

/* How much address space an outbox may take: as much as is wanted or, where the program's is limited
 * (RLIMIT_AS), an eighth of what is left of it. 0: that would be too little for one. */
uint64_t limits_outbox_bytes(uint64_t wanted);

#endif
