#include "agent/life/complaint.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"

enum { NOTHING, BEING_LEFT, LEFT, SAID };

static uint32_t state;
static char line[AGENT_MESSAGE_BYTES];
static struct stat standard_error; /* st_ino is 0 where there is none */

static bool look_at_standard_error(struct stat *st)
{
    return sys_call3(SYS_fstat, STDERR_FILENO, (long)st, 0) == 0;
}

void complaint_begin(void)
{
    if (!look_at_standard_error(&standard_error))
        standard_error.st_ino = 0;
    __atomic_store_n(&state, NOTHING, __ATOMIC_RELEASE);
}

static bool move(uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void complaint_leave(const char *text)
{
    if (!move(NOTHING, BEING_LEFT))
        return;
    struct text t = text_in(line, sizeof line);
    text_add(&t, text);
    __atomic_store_n(&state, LEFT, __ATOMIC_RELEASE);
}

void complaint_say(void)
{
    struct stat now;
    if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != LEFT || !move(LEFT, SAID))
        return;
    if (look_at_standard_error(&now) && now.st_ino == standard_error.st_ino &&
        now.st_dev == standard_error.st_dev)
        agent_say(line);
}
