/*
 * System calls of the agent that fail when a test says so (see agent/life/sys.h).
 */
#ifndef CALLTRACE_TESTS_AGENT_FAULTS_H
#define CALLTRACE_TESTS_AGENT_FAULTS_H

#include <stdbool.h>

#define FAULTS_ANY_CALL (-1L)

/* From now on the call number `position` (0 is the next one) of system call `number` fails with `error`, a
 * -errno, and so do those that follow if `and_after`. */
void faults_set(long number, unsigned position, long error, bool and_after);

/* No system call fails any more. Returns whether one has. */
bool faults_clear(void);

#endif
