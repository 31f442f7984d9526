/*
 * setuid() and its like: before they return, the flusher has followed (life/credentials.h).
 */
#include <errno.h>
#include <sys/types.h>

#include "agent/interpose/real.h"
#include "agent/life/agent.h"
#include "agent/life/thread.h"

static int followed(int status)
{
    if (status != 0 || !agent_is_running())
        return status;
    struct attach_request request = {.kind = REQUEST_FOLLOW};
    thread_ask(&request);
    return status;
}

/* Defines a function that calls the real one, and has the flusher follow. */
#define FOLLOWED(name, parameters, arguments)                                                                \
    EXPORT int name parameters                                                                               \
    {                                                                                                        \
        static void *place;                                                                                  \
        int(*real) parameters = (int(*) parameters)(uintptr_t)real_once(&place, #name);                      \
        return followed(real arguments);                                                                     \
    }

FOLLOWED(setuid, (uid_t user), (user))
FOLLOWED(seteuid, (uid_t user), (user))
FOLLOWED(setreuid, (uid_t real_user, uid_t effective), (real_user, effective))
FOLLOWED(setresuid, (uid_t real_user, uid_t effective, uid_t saved), (real_user, effective, saved))
FOLLOWED(setgid, (gid_t group), (group))
FOLLOWED(setegid, (gid_t group), (group))
FOLLOWED(setregid, (gid_t real_group, gid_t effective), (real_group, effective))
FOLLOWED(setresgid, (gid_t real_group, gid_t effective, gid_t saved), (real_group, effective, saved))
FOLLOWED(setgroups, (size_t count, const gid_t *groups), (count, groups))
FOLLOWED(initgroups, (const char *user, gid_t group), (user, group))
