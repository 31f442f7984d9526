/*
 * The ring between a thread and its flusher, a handler interrupting the hooks all the time: every record
 * comes through, once, in order, and each handler's records lie together.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/life/futex.h"
#include "agent/life/thread.h"
#include "agent/record/layout.h"
#include "agent/record/ring.h"
#include "agent/ship/roster.h"
#include "tests/agent/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PAIRS 300000u
#else
#define PAIRS 1000000u
#endif
#define HANDLER_PAIRS 3u
#define SIGNAL_EVERY_NS 50000
#define IN_MAIN ((void *)0x400000)
#define IN_HANDLER ((void *)0x500000)

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

static struct roster roster;
static struct ring_header *ring;
static uint64_t handled; /* pairs made by handlers */
static atomic_bool is_ready, is_done;

static void handler(int number)
{
    (void)number;
    for (unsigned i = 0; i < HANDLER_PAIRS; i++, handled++) {
        __cyg_profile_func_enter(IN_HANDLER, (void *)(uintptr_t)handled);
        __cyg_profile_func_exit(IN_HANDLER, (void *)(uintptr_t)handled);
    }
}

static timer_t start_signals(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec every = {{0, SIGNAL_EVERY_NS}, {0, SIGNAL_EVERY_NS}};
    timer_t timer;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQUAL(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_EQUAL(timer_settime(timer, 0, &every, NULL), 0);
    return timer;
}

static void *produce(void *unused)
{
    (void)unused;
    struct attach_request request = {.tid = 1, .started_ticks = 5, .stack_base = ~15ull};
    roster_attach(&roster, &request);
    CHECK(request.producer != NULL);
    ring_producer = request.producer;
    ring = request.producer->ring;
    atomic_store(&is_ready, true);
    timer_t timer = start_signals();
    for (uint64_t i = 0; i < PAIRS; i++) {
        __cyg_profile_func_enter(IN_MAIN, (void *)(uintptr_t)i);
        __cyg_profile_func_exit(IN_MAIN, (void *)(uintptr_t)i);
    }
    timer_delete(timer);
    atomic_store(&is_done, true);
    return NULL;
}

/* What the records told so far. */
struct seen {
    uint64_t position;
    uint64_t main_entries, main_exits;
    uint64_t handler_entries, handler_exits;
    uint64_t interrupted; /* handlers that lie within a call of main's, or between its hooks' records */
    uint64_t last_ticks;
};

static void take_record(struct seen *seen, const uint64_t *words)
{
    const uint64_t *word = &words[seen->position & (RING_WORDS - 1)];
    uint64_t address = word[1] & RECORD_ADDRESS_MASK, kind = word[1] >> RECORD_KIND_SHIFT;
    bool is_main = address == (uint64_t)(uintptr_t)IN_MAIN;
    CHECK(is_main || address == (uint64_t)(uintptr_t)IN_HANDLER);
    CHECK(kind == RECORD_ENTRY || kind == RECORD_EXIT);
    CHECK(word[0] >= seen->last_ticks);
    seen->last_ticks = word[0];
    uint64_t *entries = is_main ? &seen->main_entries : &seen->handler_entries;
    uint64_t *exits = is_main ? &seen->main_exits : &seen->handler_exits;
    /* A handler's calls are over when main goes on. */
    CHECK(!is_main || seen->handler_entries == seen->handler_exits);
    if (kind == RECORD_ENTRY) {
        CHECK_EQUAL(*entries, *exits);
        CHECK_EQUAL(word[2] & RECORD_ADDRESS_MASK, *entries);
        ++*entries;
        seen->interrupted += !is_main && seen->main_entries != seen->main_exits;
        seen->position += RECORD_ENTRY_WORDS;
    } else {
        CHECK_EQUAL(*exits + 1, *entries);
        ++*exits;
        seen->position += RECORD_EXIT_WORDS;
    }
}

static void drain(struct seen *seen)
{
    const uint64_t *words = (const uint64_t *)(const void *)((const char *)ring + CALLTRACE_PAGE);
    uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    while (seen->position != head)
        take_record(seen, words);
    __atomic_store_n(&ring->tail, seen->position, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&ring->waiting, __ATOMIC_SEQ_CST))
        return;
    __atomic_fetch_add(&ring->wake, 1, __ATOMIC_SEQ_CST);
    futex_wake_all(&ring->wake);
}

int main(void)
{
    char path[] = "/tmp/calltrace-storm-XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_EQUAL(roster_open(&roster, directory), 0);
    pthread_t producer;
    CHECK_EQUAL(pthread_create(&producer, NULL, produce, NULL), 0);
    while (!atomic_load(&is_ready))
        sched_yield();
    struct seen seen = {0};
    while (!atomic_load(&is_done))
        drain(&seen);
    CHECK_EQUAL(pthread_join(producer, NULL), 0);
    drain(&seen);
    CHECK_EQUAL(seen.main_entries, PAIRS);
    CHECK_EQUAL(seen.main_exits, PAIRS);
    CHECK_EQUAL(seen.handler_entries, handled);
    CHECK_EQUAL(seen.handler_exits, handled);
    CHECK_EQUAL(ring->dropped, 0);
    CHECK(handled > 0);
    CHECK_EQUAL(unlinkat(directory, "ring.0", 0), 0);
    CHECK_EQUAL(rmdir(path), 0);
    return 0;
}
