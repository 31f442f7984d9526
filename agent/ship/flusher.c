/*
 * The flusher's loop: answer threads that want a ring, drain the rings, move the stream, sleep.
 *
 * It never waits for the collector while a thread might wait for it.
 */
#include "agent/ship/flusher.h"

#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/life/agent.h"
#include "agent/life/crash.h"
#include "agent/life/futex.h"
#include "agent/life/sys.h"
#include "agent/record/clock.h"
#include "agent/ship/announce.h"
#include "agent/ship/flusher_state.h"

#define IDLE_NS 200000000ull
#define BUSY_WAIT_NS 1000000ull /* the socket or the outbox is full */
#define FINISH_WAIT_NS 10000000ull
#define PLANS_WAIT_NS 10000000ull /* a plan ends it */
#define FIRST_CLOCK_NS 10000000ull
#define LAST_CLOCK_NS 5000000000ull
#define MODULES_NS 1000000000ull
#define CRASH_DRAIN_NS 100000000ull
#define CREDENTIALS_NS 100000000ull

static struct flusher flusher;

static void send_clock(struct flusher *f, uint64_t now_ns)
{
    struct clock_reading reading = clock_read();
    if (!announce_clock(&f->outbox, &reading))
        return;
    f->active = false;
    f->clock_at_ns = now_ns + f->clock_after_ns;
    if (f->clock_after_ns < LAST_CLOCK_NS)
        f->clock_after_ns *= 4;
}

static void keep_time(struct flusher *f, uint64_t now_ns)
{
    /* Whoever changes them without libc does not ask. */
    if (now_ns >= f->credentials_at_ns) {
        flusher_follow(f);
        f->credentials_at_ns = now_ns + CREDENTIALS_NS;
    }
    if (f->active && now_ns >= f->clock_at_ns)
        send_clock(f, now_ns);
    if (f->active && now_ns >= f->modules_at_ns) {
        module_watch_scan(&f->drain.watch, clock_ticks());
        f->modules_at_ns = now_ns + MODULES_NS;
    }
}

static void sleep_until_work(struct flusher *f, uint32_t seen, uint64_t now_ns)
{
    if (f->uplink.fd >= 0 && (f->uplink.wants_write || f->drain.batch != NULL)) {
        uplink_wait(&f->uplink, BUSY_WAIT_NS);
        return;
    }
    if (f->awaited) {
        uplink_wait(&f->uplink, PLANS_WAIT_NS);
        return;
    }
    if (__atomic_load_n(&agent.finish, __ATOMIC_ACQUIRE) && !agent.finished) {
        uplink_wait(&f->uplink, FINISH_WAIT_NS);
        return;
    }
    uint64_t due = drain_due_ns(&f->drain);
    uint64_t wait = due == UINT64_MAX ? IDLE_NS : due > now_ns ? due - now_ns : BUSY_WAIT_NS;
    if (f->uplink.fd < 0 && f->uplink.retry_at_ns < now_ns + wait)
        wait = f->uplink.retry_at_ns > now_ns ? f->uplink.retry_at_ns - now_ns : BUSY_WAIT_NS;
    __atomic_store_n(&agent.flusher_sleeps, 1, __ATOMIC_SEQ_CST);
    futex_wait(&agent.flusher_calls, seen, wait);
    __atomic_store_n(&agent.flusher_sleeps, 0, __ATOMIC_SEQ_CST);
}

/* A thread has crashed, and waits. What it recorded last goes into the outbox, if that has room now. */
static void report_crash(struct flusher *f)
{
    crash_report_write(&f->crash_report);
    uint64_t begin_ns = clock_monotonic_ns(), now_ns = begin_ns;
    while (now_ns - begin_ns < CRASH_DRAIN_NS && drain_rings(&f->drain, now_ns, true))
        now_ns = clock_monotonic_ns();
    crash_report_done(&f->crash_report);
}

static void turn(struct flusher *f)
{
    uint32_t seen = __atomic_load_n(&agent.flusher_calls, __ATOMIC_SEQ_CST);
    if (crash_report_is_due(&f->crash_report))
        report_crash(f);
    uint64_t now_ns = clock_monotonic_ns();
    bool finishing = __atomic_load_n(&agent.finish, __ATOMIC_ACQUIRE);
    bool worked = flusher_answer(f);
    if (drain_rings(&f->drain, now_ns, finishing))
        worked = f->active = true;
    keep_time(f, now_ns);
    worked |= uplink_pump(&f->uplink, now_ns);
    if (finishing)
        flusher_finish(f, now_ns);
    if (!worked)
        sleep_until_work(f, seen, now_ns);
}

static void reset(struct flusher *f)
{
    /* In a forked child this is the parent's. */
    memset(f, 0, sizeof *f);
    uint64_t now_ns = clock_monotonic_ns();
    f->clock_at_ns = now_ns + FIRST_CLOCK_NS;
    f->clock_after_ns = FIRST_CLOCK_NS;
    f->modules_at_ns = now_ns + MODULES_NS;
}

/* The program's descriptors are in this thread's table too: held open here, a pipe would never end. */
static void close_inherited(void)
{
    sys_call3(SYS_close_range, 0, UINT_MAX, 0);
}

void flusher_main(void)
{
    close_inherited();
    sys_call3(SYS_prctl, PR_SET_NAME, (long)"calltrace", 0);
    sys_call3(SYS_sched_setaffinity, 0, sizeof agent.affinity, (long)agent.affinity);
    reset(&flusher);
    bool ready = flusher_open(&flusher) == 0;
    if (ready) {
        agent.session = flusher.session.header;
        agent.pid = agent.session->pid;
        credentials_open(&flusher.credentials);
        send_clock(&flusher, clock_monotonic_ns());
        crash_open(flusher.session.crash);
        flusher_say_started(&flusher);
    }
    __atomic_store_n(&agent.flusher_ready, ready ? 1 : 2, __ATOMIC_RELEASE);
    futex_wake_all(&agent.flusher_ready);
    while (ready)
        turn(&flusher);
}
