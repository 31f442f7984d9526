#include "agent/life/credentials.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>

#include "agent/life/sys.h"
#include "agent/life/text.h"

#define STATUS_BYTES (32u << 10)
#define MAX_GROUPS 2048u
#define MAX_IDS 3 /* real, effective and saved; the fourth, of the file system, follows the effective one */
#define HASH_BASIS 0xcbf29ce484222325ull /* FNV-1a */
#define HASH_PRIME 0x100000001b3ull

/* What stands behind a name at the beginning of a line, or NULL. */
static const char *field(const char *status, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = status; line != NULL;) {
        if (strncmp(line, name, length) == 0)
            return line + length;
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return NULL;
}

static int digit_of(char c, uint64_t base)
{
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    return digit < (int)base ? digit : -1;
}

/* Reads numbers up to the line's end. Returns how many there are; `most` are stored. */
static size_t numbers(const char *at, uint64_t base, uint64_t *to, size_t most)
{
    size_t count = 0;
    while (at != NULL && *at != '\n' && *at != '\0') {
        uint64_t value = 0;
        const char *begin = at;
        for (int digit; (digit = digit_of(*at, base)) >= 0; at++)
            value = value * base + (uint64_t)digit;
        if (at == begin) {
            at++;
            continue;
        }
        if (count < most)
            to[count] = value;
        count++;
    }
    return count;
}

static void follow_groups(const char *status)
{
    static uint64_t wide[MAX_GROUPS]; /* one thread uses it */
    static uint32_t groups[MAX_GROUPS];
    size_t count = numbers(field(status, "Groups:"), 10, wide, MAX_GROUPS);
    if (count > MAX_GROUPS)
        count = 0; /* rather none than one too many */
    for (size_t i = 0; i < count; i++)
        groups[i] = (uint32_t)wide[i];
    sys_call3(SYS_setgroups, (long)count, (long)groups, 0);
}

static void follow_ids(const char *status, const char *name, long system_call)
{
    uint64_t ids[MAX_IDS];
    if (numbers(field(status, name), 10, ids, MAX_IDS) >= MAX_IDS)
        sys_call3(system_call, (long)ids[0], (long)ids[1], (long)ids[2]);
}

static void follow_capabilities(const char *status)
{
    uint64_t inheritable = 0, permitted = 0, effective = 0;
    if (numbers(field(status, "CapInh:"), 16, &inheritable, 1) == 0 ||
        numbers(field(status, "CapPrm:"), 16, &permitted, 1) == 0 ||
        numbers(field(status, "CapEff:"), 16, &effective, 1) == 0)
        return;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2], wanted[2];
    if (sys_call3(SYS_capget, (long)&header, (long)now, 0) < 0)
        return;
    for (int i = 0; i < 2; i++) {
        /* Never more than there are: that would be refused as a whole. */
        wanted[i].permitted = (uint32_t)(permitted >> 32 * i) & now[i].permitted;
        wanted[i].effective = (uint32_t)(effective >> 32 * i) & wanted[i].permitted;
        wanted[i].inheritable = (uint32_t)(inheritable >> 32 * i) & now[i].inheritable;
    }
    header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
    sys_call3(SYS_capset, (long)&header, (long)wanted, 0);
}

/* Of the lines that say whose rights the thread has: other lines change all the time. */
static uint64_t checksum(const char *status)
{
    static const char *const names[] = {"Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:"};
    uint64_t hash = HASH_BASIS;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (const char *at = field(status, names[i]); at != NULL && *at != '\n' && *at != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * HASH_PRIME;
    return hash;
}

static char status[STATUS_BYTES]; /* one thread uses it */

bool credentials_have_changed(struct credentials *c)
{
    long length = c->main_thread < 0
                      ? -1
                      : sys_call6(SYS_pread64, c->main_thread, (long)status, STATUS_BYTES - 1, 0, 0, 0);
    if (length <= 0)
        return false;
    status[length] = '\0';
    uint64_t seen = checksum(status);
    bool changed = seen != c->seen;
    c->seen = seen;
    return changed;
}

void credentials_open(struct credentials *c)
{
    char path[64];
    struct text t = text_in(path, sizeof path);
    text_add(&t, "/proc/self/task/");
    text_add_number(&t, (uint64_t)sys_call3(SYS_getpid, 0, 0, 0));
    text_add(&t, "/status");
    *c = (struct credentials){.main_thread = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)};
    credentials_have_changed(c);
}

void credentials_follow(void)
{
    /* In this order, for each may need what the next one takes away. */
    follow_groups(status);
    follow_ids(status, "Gid:", SYS_setresgid);
    follow_ids(status, "Uid:", SYS_setresuid);
    follow_capabilities(status);
}
