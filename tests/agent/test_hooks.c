/* The hooks on their usual path: what they record, and all that they leave alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/life/sys.h"
#include "agent/life/thread.h"
#include "agent/record/layout.h"
#include "agent/record/ring.h"
#include "agent/ship/roster.h"
#include "tests/agent/check.h"
#include "tests/agent/faults.h"

/* Fewer words than half a ring, at which the slow path wakes the flusher. */
#define PAIRS 10000

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

static size_t allocations;

/* A sanitizer allocates and makes system calls of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_WATCH false
#else
#define CAN_WATCH true

extern void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
#endif

static void call_hooks(uint64_t i)
{
    void *function = (void *)(uintptr_t)(0x400000 + i * 16);
    void *call_site = (void *)(uintptr_t)(0x500000 + i);
    __cyg_profile_func_enter(function, call_site);
    __cyg_profile_func_exit(function, call_site);
}

/* Gives this thread a ring, as the flusher would. */
static struct ring_header *attach(struct roster *roster, int directory)
{
    struct attach_request request = {.tid = 1, .started_ticks = 5, .stack_base = ~15ull};
    CHECK_EQUAL(roster_open(roster, directory), 0);
    roster_attach(roster, &request);
    CHECK(request.producer != NULL);
    ring_producer = request.producer;
    return request.producer->ring;
}

static void check_records(const struct ring_header *ring)
{
    const uint64_t *word = (const uint64_t *)(const void *)((const char *)ring + CALLTRACE_PAGE);
    uint64_t last_ticks = 0;
    CHECK_EQUAL(ring->head, PAIRS * (RECORD_ENTRY_WORDS + RECORD_EXIT_WORDS));
    for (uint64_t i = 0; i < PAIRS; i++) {
        CHECK(word[0] >= last_ticks && word[3] >= word[0]);
        last_ticks = word[3];
        CHECK_EQUAL(word[1] & RECORD_ADDRESS_MASK, 0x400000 + i * 16);
        CHECK_EQUAL(word[4] & RECORD_ADDRESS_MASK, 0x400000 + i * 16);
        CHECK_EQUAL(word[2] & RECORD_ADDRESS_MASK, 0x500000 + i);
        CHECK_EQUAL(word[1] >> RECORD_KIND_SHIFT, RECORD_ENTRY);
        CHECK_EQUAL(word[4] >> RECORD_KIND_SHIFT, RECORD_EXIT);
        /* Both hooks were called from one frame. */
        CHECK_EQUAL(word[1] >> RECORD_ADDRESS_BITS & RECORD_SP_LOW_MASK,
                    word[4] >> RECORD_ADDRESS_BITS & RECORD_SP_LOW_MASK);
        word += RECORD_ENTRY_WORDS + RECORD_EXIT_WORDS;
    }
}

/* From here on the kernel kills this process for any system call but exit_group. */
static void forbid_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQUAL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

struct modes {
    uint32_t mxcsr;
    uint16_t x87;
};

static struct modes read_modes(void)
{
    struct modes modes;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(modes.mxcsr), "=m"(modes.x87));
    return modes;
}

/* In a process of its own, as nothing else can be done after. Exits with 0 when all was left alone. */
static void call_under_watch(struct roster *roster, int directory)
{
    attach(roster, directory);
    struct modes odd = {0x7f80, 0x0c7f}, after;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(odd.mxcsr), "m"(odd.x87));
    forbid_system_calls();
    errno = 4242;
    allocations = 0;
    for (uint64_t i = 0; i < PAIRS; i++)
        call_hooks(i);
    after = read_modes();
    bool alone = errno == 4242 && allocations == 0 && after.mxcsr == odd.mxcsr && after.x87 == odd.x87;
    sys_call3(SYS_exit_group, alone ? 0 : 1, 0, 0);
}

static int run_in_child(void (*function)(struct roster *, int), int directory)
{
    struct roster roster;
    int status;
    pid_t child = fork();
    if (child == 0)
        function(&roster, directory);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

/* The same, but with a system call in between: shows that the watch would see one. */
static void call_and_be_caught(struct roster *roster, int directory)
{
    attach(roster, directory);
    forbid_system_calls();
    call_hooks(0);
    getppid();
    _exit(0);
}

/* A ring that the session directory has no room for lies in nameless memory. */
static void attach_without_room(int directory)
{
    struct roster roster;
    faults_set(SYS_fallocate, 0, -ENOSPC, true);
    struct ring_header *ring = attach(&roster, directory);
    CHECK(faults_clear());
    for (uint64_t i = 0; i < PAIRS; i++)
        call_hooks(i);
    check_records(ring);
    CHECK_EQUAL(faccessat(directory, "ring.0", F_OK, 0), -1);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    CHECK_EQUAL(rmdir(path), 0);
}

int main(void)
{
    char path[] = "/tmp/calltrace-hooks-XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    attach_without_room(directory);

    struct roster roster;
    struct ring_header *ring = attach(&roster, directory);
    for (uint64_t i = 0; i < PAIRS; i++)
        call_hooks(i);
    check_records(ring);
    CHECK_EQUAL(unlinkat(directory, "ring.0", 0), 0);

    if (CAN_WATCH) {
        CHECK_EQUAL(run_in_child(call_under_watch, directory), 0);
        CHECK_EQUAL(unlinkat(directory, "ring.0", 0), 0);
        int caught = run_in_child(call_and_be_caught, directory);
        CHECK(WIFSIGNALED(caught) && WTERMSIG(caught) == SIGSYS);
    }
    remove_folder(path);
    return 0;
}
