#include "agent/life/process.h"

#include <string.h>
#include <sys/utsname.h>

#include "agent/life/agent.h"
#include "agent/life/file.h"
#include "agent/life/sys.h"
#include "agent/ship/messages.h"
#include "agent/ship/proto.h"

#define PATH_BYTES 4096
#define ARGUMENT_BYTES 16384
#define STAT_START_TIME_FIELD 22

/* Fields of Process and Host. */
enum {
    SESSION_ID = 1,
    SESSION_DIRECTORY,
    PID,
    PARENT_PID,
    PARENT_SESSION_ID,
    EXECUTABLE,
    ARGUMENTS,
    COMMAND_LINE_CUT,
    WORKING_DIRECTORY,
    USER_ID,
    HOST,
    START_TIME,
    CLOCK_SOURCE,
    CLOCK,
    VERSION,
    ARCHITECTURE,
    MAX_DEPTH,
    OVERFLOW,
    HAS_FORK_POINT,
    PARENT_THREAD,
    FORK_TICKS,
    CAPTURE
};
enum { HOST_NAME = 1, MACHINE_ID, BOOT_ID, KERNEL };
enum { CLOCK_SOURCE_TSC = 1, CLOCK_SOURCE_MONOTONIC = 2 };
enum { OVERFLOW_BLOCK = 1, OVERFLOW_DROP = 2 };

uint64_t process_start_time(void)
{
    char stat[1024];
    file_read("/proc/self/stat", stat, sizeof stat);
    /* Field 2 is the program's name in parentheses, which may hold anything. */
    const char *at = strrchr(stat, ')');
    for (int field = 2; at != NULL && field < STAT_START_TIME_FIELD; field++) {
        at = strchr(at, ' ');
        at = at != NULL ? at + 1 : NULL;
    }
    uint64_t value = 0;
    for (; at != NULL && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

static void put_link(struct proto *p, uint32_t field, const char *link)
{
    char path[PATH_BYTES];
    long length = sys_call6(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, sizeof path, 0, 0);
    if (length > 0)
        proto_text(p, field, path, (size_t)length);
}

static void put_arguments(struct proto *p)
{
    char line[ARGUMENT_BYTES];
    long length = file_read("/proc/self/cmdline", line, sizeof line);
    for (long i = 0; i < length; i += (long)strlen(line + i) + 1)
        proto_text(p, ARGUMENTS, line + i, strlen(line + i));
    proto_uint(p, COMMAND_LINE_CUT, length == ARGUMENT_BYTES - 1);
}

static void put_host(struct proto *p)
{
    uint8_t bytes[1024];
    struct proto host = {.bytes = bytes, .size = sizeof bytes};
    struct utsname names;
    char line[64];
    if (sys_call3(SYS_uname, (long)&names, 0, 0) == 0) {
        proto_string(&host, HOST_NAME, names.nodename);
        if (file_read_line("/etc/machine-id", line, sizeof line) > 0)
            proto_string(&host, MACHINE_ID, line);
        if (file_read_line("/proc/sys/kernel/random/boot_id", line, sizeof line) > 0)
            proto_string(&host, BOOT_ID, line);
        proto_string(&host, KERNEL, names.release);
    }
    proto_bytes(p, HOST, bytes, host.length);
}

static void put_process(struct proto *p, const char *session_directory, const struct clock_reading *clock)
{
    proto_bytes(p, SESSION_ID, agent.session_id, sizeof agent.session_id);
    proto_string(p, SESSION_DIRECTORY, session_directory);
    proto_uint(p, PID, (uint64_t)sys_call3(SYS_getpid, 0, 0, 0));
    proto_uint(p, PARENT_PID, (uint64_t)sys_call3(SYS_getppid, 0, 0, 0));
    if (agent.has_parent_session)
        proto_bytes(p, PARENT_SESSION_ID, agent.parent_session_id, sizeof agent.parent_session_id);
    put_link(p, EXECUTABLE, "/proc/self/exe");
    put_arguments(p);
    put_link(p, WORKING_DIRECTORY, "/proc/self/cwd");
    proto_uint(p, USER_ID, (uint64_t)sys_call3(SYS_getuid, 0, 0, 0));
    put_host(p);
    proto_uint(p, START_TIME, process_start_time());
    proto_uint(p, CLOCK_SOURCE, clock_is_monotonic ? CLOCK_SOURCE_MONOTONIC : CLOCK_SOURCE_TSC);
    message_put_clock(p, CLOCK, clock);
    proto_string(p, VERSION, AGENT_VERSION);
    proto_string(p, ARCHITECTURE, "x86_64");
    proto_uint(p, MAX_DEPTH, agent.config.max_depth);
    proto_uint(p, OVERFLOW, agent.config.drops ? OVERFLOW_DROP : OVERFLOW_BLOCK);
    if (agent.has_parent_session && agent.fork.is_known) {
        proto_uint(p, HAS_FORK_POINT, 1);
        proto_uint(p, PARENT_THREAD, agent.fork.thread);
        proto_uint(p, FORK_TICKS, agent.fork.ticks);
    }
    proto_string(p, CAPTURE, agent.config.capture);
}

size_t process_describe(uint8_t *at, size_t size, const char *session_directory,
                        const struct clock_reading *clock)
{
    static uint8_t body[48u << 10]; /* one thread uses it */
    struct proto process = {.bytes = body, .size = sizeof body};
    put_process(&process, session_directory, clock);
    struct proto message = {.bytes = at, .size = size};
    proto_bytes(&message, MESSAGE_PROCESS, body, process.length);
    return process.full || message.full ? 0 : message.length;
}
