/*
 * The flusher's loop: answer threads that want a ring, drain the rings, move the stream, sleep.
 *
 * It never waits for the collector while a thread might wait for it.
 */
#include "agent/ship/flusher.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/life/agent.h"
#include "agent/life/crash.h"
#include "agent/life/credentials.h"
#include "agent/life/futex.h"
#include "agent/life/limits.h"
#include "agent/life/session.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/life/thread.h"
#include "agent/record/clock.h"
#include "agent/ship/announce.h"
#include "agent/ship/crash_report.h"
#include "agent/ship/drain.h"
#include "agent/ship/outbox.h"
#include "agent/ship/roster.h"
#include "agent/ship/uplink.h"

#define IDLE_NS 200000000ull
#define BUSY_WAIT_NS 1000000ull /* the socket or the outbox is full */
#define FINISH_WAIT_NS 10000000ull
#define FINISH_PATIENCE_NS 5000000000ull /* without any word from the collector, at the end */
#define FIRST_CLOCK_NS 10000000ull
#define LAST_CLOCK_NS 5000000000ull
#define MODULES_NS 1000000000ull
#define CRASH_DRAIN_NS 100000000ull
#define CREDENTIALS_NS 100000000ull

static struct flusher {
    struct session session;
    struct outbox outbox;
    struct roster roster;
    struct drain drain;
    struct uplink uplink;
    struct crash_report crash_report;
    struct credentials credentials;
    uint64_t clock_at_ns;    /* when to send the next reading */
    uint64_t clock_after_ns; /* and how long after that the one after */
    uint64_t modules_at_ns;
    uint64_t credentials_at_ns;
    struct attach_request *late; /* cannot be answered yet */
    bool active;                 /* something was drained since the last reading */
    bool ending;                 /* the process is in exit() */
    bool said_goodbye;
    uint64_t goodbye_sequence;
} flusher;

static void say_unreachable(int status)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    if (status == -EMFILE) {
        text_add(&t, "this program may open too few files to be traced (ulimit -n): it runs untraced");
        return;
    }
    text_add(&t, "no collector at ");
    text_add(&t, agent.config.socket_path);
    text_add(&t, status == -ENOENT || status == -ECONNREFUSED ? "" : " that lets this user in");
    text_add(&t, ": this program runs untraced; start one with 'calltrace-collector serve', "
                 "or run the program with 'calltrace record'");
}

static void say_no_memory(int status)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(&t, "no room for the trace in ");
    text_add(&t, flusher.session.path);
    text_add(&t, " (error ");
    text_add_number(&t, (uint64_t)-status);
    text_add(&t, "): this program runs untraced; make room there, or choose another place with "
                 "CALLTRACE_SHM_DIR");
}

static void say_no_address_space(void)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(
        &t,
        "too little is left of the address space that this program may use (ulimit -v): it runs untraced; "
        "allow it more");
}

/* The program's descriptors are in this thread's table too: held open here, a pipe would never end. */
static void close_inherited(void)
{
    sys_call3(SYS_close_range, 0, UINT_MAX, 0);
}

static int open_session(struct flusher *f)
{
    struct clock_reading reading = clock_read();
    uint64_t outbox_bytes = limits_outbox_bytes(agent.config.outbox_bytes);
    if (outbox_bytes == 0) {
        say_no_address_space();
        return -ENOMEM;
    }
    int status = session_open(&f->session, &reading);
    if (status < 0)
        return status;
    status = outbox_open(&f->outbox, f->session.directory, outbox_bytes);
    if (status == 0)
        status = roster_open(&f->roster, f->session.directory);
    if (status == 0)
        status = drain_open(&f->drain, &f->outbox, &f->roster, agent.config.max_depth);
    f->drain.closing = &agent.closing;
    if (status == 0)
        status = crash_report_open(&f->crash_report, &f->session, &f->roster, &f->drain.watch.modules);
    if (status < 0) {
        say_no_memory(status);
        session_remove(&f->session);
        return status;
    }
    status = uplink_open(&f->uplink, &f->outbox, agent.config.socket_path, f->session.process,
                         f->session.process_bytes);
    if (status < 0 && status != -EAGAIN) {
        say_unreachable(status);
        session_remove(&f->session);
        return status;
    }
    return 0;
}

/* Looks for modules that came or went. Returns whether that is all there is to do for the thread that asks.
 * One that does not want to wait does not: then names are exact unless the collector stands still. */
static bool look(struct flusher *f, struct attach_request *request)
{
    uint64_t ticks = request->kind == REQUEST_LOOK ? clock_ticks() : request->started_ticks;
    if (!request->looked)
        request->looked = module_watch_scan(&f->drain.watch, ticks);
    if (agent.config.drops)
        return true;
    return request->looked && (request->kind == REQUEST_LOOK || !f->drain.watch.changing);
}

static void follow(struct flusher *f)
{
    crash_report_hold(&f->crash_report);
    credentials_follow(&f->credentials);
}

/* Returns whether the thread has its answer. */
static bool answer(struct flusher *f, struct attach_request *request)
{
    if (request->kind == REQUEST_RING)
        roster_attach(&f->roster, request);
    else if (request->kind == REQUEST_FOLLOW)
        follow(f);
    else if (!look(f, request))
        return false;
    __atomic_store_n(&request->done, 1, __ATOMIC_RELEASE);
    futex_wake_all(&request->done);
    return true;
}

static struct attach_request *reversed(struct attach_request *request)
{
    struct attach_request *turned = NULL;
    while (request != NULL) {
        struct attach_request *next = request->next;
        request->next = turned;
        turned = request;
        request = next;
    }
    return turned;
}

/* Returns whether any thread has got an answer. */
static bool answer_requests(struct flusher *f)
{
    struct attach_request *late = f->late;
    /* Oldest first, so that threads are numbered in the order they came. */
    struct attach_request *oldest = reversed(__atomic_exchange_n(&agent.requests, NULL, __ATOMIC_SEQ_CST));
    bool answered = false;
    f->late = NULL;
    for (int list = 0; list < 2; list++) {
        struct attach_request *request = list == 0 ? late : oldest;
        while (request != NULL) {
            struct attach_request *next = request->next; /* the asker's memory is gone once it is answered */
            if (answer(f, request)) {
                answered = true;
            } else {
                request->next = f->late;
                f->late = request;
            }
            request = next;
        }
    }
    return answered;
}

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
        credentials_follow(&f->credentials);
        f->credentials_at_ns = now_ns + CREDENTIALS_NS;
    }
    if (f->active && now_ns >= f->clock_at_ns)
        send_clock(f, now_ns);
    if (f->active && now_ns >= f->modules_at_ns) {
        module_watch_scan(&f->drain.watch, clock_ticks());
        f->modules_at_ns = now_ns + MODULES_NS;
    }
}

static void declare_finished(void)
{
    __atomic_store_n(&agent.finished, 1, __ATOMIC_RELEASE);
    futex_wake_all(&agent.finished);
}

static void say_goodbye(struct flusher *f)
{
    struct clock_reading reading = clock_read();
    uint64_t sequence = f->outbox.next_sequence;
    if (!announce_goodbye(&f->outbox, agent.exit_code, &reading))
        return;
    session_exited(f->session.header, agent.exit_code, &reading);
    f->said_goodbye = true;
    f->goodbye_sequence = sequence;
}

/* The process is in exit(): everything is sent and acknowledged, then it may end. Without a collector that
 * answers it may end at once: what is left lies in the session directory for the next one. */
static void finish(struct flusher *f, uint64_t now_ns)
{
    if (agent.finished)
        return;
    if (!f->ending) {
        f->ending = true;
        drain_begin_end(&f->drain);
    }
    if (!f->said_goodbye && drain_is_complete(&f->drain) && drain_put_drops(&f->drain))
        say_goodbye(f);
    struct outbox_message unsent;
    if (f->said_goodbye && !f->uplink.half_closed && !grpc_sending(&f->uplink.stream) &&
        !outbox_peek(&f->outbox, &unsent))
        uplink_half_close(&f->uplink);
    bool done = f->said_goodbye && f->uplink.acknowledged >= f->goodbye_sequence;
    bool hopeless = f->uplink.fd < 0 || now_ns > f->uplink.last_progress_ns + FINISH_PATIENCE_NS;
    if (!done && !hopeless)
        return;
    if (!f->said_goodbye) {
        struct clock_reading reading = clock_read();
        session_exited(f->session.header, agent.exit_code, &reading);
    }
    declare_finished();
}

static void sleep_until_work(struct flusher *f, uint32_t seen, uint64_t now_ns)
{
    if (f->uplink.fd >= 0 && (f->uplink.wants_write || f->drain.batch != NULL)) {
        uplink_wait(&f->uplink, BUSY_WAIT_NS);
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
    bool worked = answer_requests(f);
    if (drain_rings(&f->drain, now_ns, finishing))
        worked = f->active = true;
    keep_time(f, now_ns);
    worked |= uplink_pump(&f->uplink, now_ns);
    if (finishing)
        finish(f, now_ns);
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

/* For CALLTRACE_DEBUG: the thread that started the agent says it. */
static void say_started(const struct flusher *f)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(&t, "traced: events go to ");
    text_add(&t, agent.config.socket_path);
    text_add(&t, ", and are kept in ");
    text_add(&t, f->session.path);
    text_add(&t, " until they are stored");
}

void flusher_main(void)
{
    close_inherited();
    sys_call3(SYS_prctl, PR_SET_NAME, (long)"calltrace", 0);
    sys_call3(SYS_sched_setaffinity, 0, sizeof agent.affinity, (long)agent.affinity);
    reset(&flusher);
    bool ready = open_session(&flusher) == 0;
    if (ready) {
        agent.session = flusher.session.header;
        agent.pid = agent.session->pid;
        credentials_open(&flusher.credentials);
        send_clock(&flusher, clock_monotonic_ns());
        crash_open(flusher.session.crash);
        say_started(&flusher);
    }
    __atomic_store_n(&agent.flusher_ready, ready ? 1 : 2, __ATOMIC_RELEASE);
    futex_wake_all(&agent.flusher_ready);
    while (ready)
        turn(&flusher);
}
