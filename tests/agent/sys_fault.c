/* Which system calls are made to fail: none, until a test asks for it. */
#include "agent/life/sys.h"

#include "tests/agent/faults.h"

static struct {
    bool armed;
    bool and_after;
    bool happened;
    long number;
    unsigned remaining; /* calls before the one that fails */
    long error;
} faults;

void faults_set(long number, unsigned position, long error, bool and_after)
{
    faults.number = number;
    faults.remaining = position;
    faults.error = error;
    faults.and_after = and_after;
    faults.happened = false;
    faults.armed = true;
}

bool faults_clear(void)
{
    faults.armed = false;
    return faults.happened;
}

long sys_fault(long number)
{
    if (!faults.armed || (faults.number != FAULTS_ANY_CALL && faults.number != number))
        return 0;
    if (faults.remaining > 0) {
        faults.remaining--;
        return 0;
    }
    faults.armed = faults.and_after;
    faults.happened = true;
    return faults.error;
}
