#include "agent/life/session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/life/agent.h"
#include "agent/life/process.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"

#define NAME_ID_BYTES 8

static int fail(int status, const char *what, const char *path, const char *advice)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(&t, what);
    text_add(&t, " ");
    text_add(&t, path);
    text_add(&t, " (error ");
    text_add_number(&t, (uint64_t)-status);
    text_add(&t, "): this program runs untraced; ");
    text_add(&t, advice);
    return status;
}

static int make_directory(int parent, const char *name)
{
    int status = (int)sys_call3(SYS_mkdirat, parent, (long)name, 0700);
    if (status < 0 && status != -EEXIST)
        return status;
    return sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* Only a directory that nobody else can write to may hold sessions. */
static int check_private(int directory)
{
    struct stat st;
    int status = (int)sys_call3(SYS_fstat, directory, (long)&st, 0);
    if (status < 0)
        return status;
    uint32_t user = (uint32_t)sys_call3(SYS_geteuid, 0, 0, 0);
    return st.st_uid == user && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

static int open_users_directory(struct text *path)
{
    text_add(path, agent.config.shm_directory);
    text_add(path, "/calltrace-");
    text_add_number(path, (uint64_t)sys_call3(SYS_geteuid, 0, 0, 0));
    int directory = make_directory(AT_FDCWD, path->bytes);
    int status = directory < 0 ? directory : check_private(directory);
    if (status == 0)
        return directory;
    if (directory >= 0)
        sys_close(directory);
    return fail(status, "cannot use the directory", path->bytes,
                "it must be yours with mode 0700, or CALLTRACE_SHM_DIR choose another place");
}

static int make_session_file(struct session *s, const struct clock_reading *clock)
{
    s->lock = sys_openat(s->directory, "session", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return s->lock;
    /* Of the open file description: no other thread's close() releases it. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int status = (int)sys_call3(SYS_fcntl, s->lock, F_OFD_SETLK, (long)&lock);
    if (status == 0)
        status = (int)sys_call6(SYS_fallocate, s->lock, 0, 0, SESSION_FILE_BYTES, 0, 0);
    if (status < 0)
        return status;
    uint8_t *memory = sys_mmap(NULL, SESSION_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->lock, 0);
    if (sys_is_error(memory))
        return (int)(intptr_t)memory;
    sys_madvise(memory, SESSION_FILE_BYTES, MADV_DONTFORK);

    s->header = (struct session_header *)(void *)memory;
    s->process = memory + CALLTRACE_PAGE;
    s->crash = (struct crash_slot *)(void *)(memory + SESSION_CRASH_OFFSET);
    s->process_bytes =
        process_describe(memory + CALLTRACE_PAGE, SESSION_CRASH_OFFSET - CALLTRACE_PAGE, s->path, clock);
    if (s->process_bytes == 0)
        return -EMSGSIZE;
    s->header->version = CALLTRACE_LAYOUT_VERSION;
    s->header->pid = (uint32_t)sys_call3(SYS_getpid, 0, 0, 0);
    memcpy(s->header->session_id, agent.session_id, sizeof agent.session_id);
    s->header->start_time_jiffies = process_start_time();
    s->header->process_bytes = s->process_bytes;
    memcpy(s->header->socket_path, agent.config.socket_path, sizeof agent.config.socket_path);
    __atomic_store_n(&s->header->magic, SESSION_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

int session_open(struct session *s, const struct clock_reading *clock)
{
    struct text path = text_in(s->path, sizeof s->path);
    int parent = open_users_directory(&path);
    if (parent < 0)
        return parent;
    size_t name = path.length + 1;
    text_add(&path, "/");
    text_add_number(&path, (uint64_t)sys_call3(SYS_getpid, 0, 0, 0));
    text_add(&path, "-");
    text_add_hex(&path, agent.session_id, NAME_ID_BYTES);
    s->directory = make_directory(parent, s->path + name);
    sys_close(parent);
    if (s->directory < 0)
        return fail(s->directory, "cannot make the directory", s->path,
                    "CALLTRACE_SHM_DIR chooses another place");
    int status = make_session_file(s, clock);
    if (status == 0)
        return 0;
    session_remove(s);
    return fail(status, "cannot write to", s->path,
                "make room there, or choose another place with CALLTRACE_SHM_DIR");
}

void session_remove(struct session *s)
{
    sys_call3(SYS_unlinkat, s->directory, (long)"outbox", 0);
    sys_call3(SYS_unlinkat, s->directory, (long)"session", 0);
    sys_call3(SYS_unlinkat, AT_FDCWD, (long)s->path, AT_REMOVEDIR);
}

void session_exited(struct session_header *s, int exit_code, const struct clock_reading *clock)
{
    s->exit_code = (uint32_t)exit_code & 0xff;
    s->ended_ticks = clock->ticks;
    s->ended_monotonic_ns = clock->monotonic_ns;
    s->ended_realtime_ns = clock->realtime_ns;
    __atomic_store_n(&s->state, SESSION_EXITED, __ATOMIC_RELEASE);
}
