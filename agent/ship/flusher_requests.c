/*
 * What the program's threads ask of the flusher and wait for (life/thread.h): a ring, a look at the modules
 * before and after a library goes, other rights.
 */
#include "agent/life/agent.h"
#include "agent/life/complaint.h"
#include "agent/life/futex.h"
#include "agent/life/thread.h"
#include "agent/record/clock.h"
#include "agent/ship/flusher_state.h"

#define SIGNALS_WAIT_NS 50000000ull /* a thread's, while it waits for plans */

/* Looks for modules that came or went. Returns whether that is all there is to do for the thread that asks.
 * One that does not want to wait does not: then names are exact unless the collector stands still. */
static bool look(struct flusher *f, struct attach_request *request)
{
    uint64_t ticks = request->kind == REQUEST_LOOK ? clock_ticks() : request->started_ticks;
    if (!request->looked)
        request->looked = module_watch_scan(&f->drain.watch, ticks);
    if (agent.config.drops) {
        if (!request->looked && request->kind == REQUEST_LOOK_AGAIN)
            module_watch_distrust(&f->drain.watch);
        return true;
    }
    return request->looked && (request->kind == REQUEST_LOOK || !f->drain.watch.changing);
}

void flusher_follow(struct flusher *f)
{
    if (!credentials_have_changed(&f->credentials))
        return;
    crash_report_hold(&f->crash_report);
    credentials_follow();
}

/* Whether no plan comes for now, whoever waits for it. */
static bool is_hopeless(const struct flusher *f)
{
    return f->uplink.refused || f->uplink.lost || __atomic_load_n(&agent.finish, __ATOMIC_ACQUIRE);
}

/* Whether a thread has waited long enough. */
static bool is_too_long(const struct attach_request *request, uint64_t now_ns)
{
    if (now_ns < request->begun_ns + agent.config.capture_wait_ns)
        return false;
    if (agent.config.capture_wait_ns != 0)
        complaint_leave("the collector has not said in time what to capture: the first calls have no values; "
                        "'calltrace record --args' asks before, CALLTRACE_CAPTURE_WAIT gives more seconds");
    return true;
}

/* Sees to it that the module of an address is known, and what is to be captured in it, as far as that is
 * worth waiting for. Returns whether the thread has its answer. */
static bool await_plans(struct flusher *f, struct attach_request *request)
{
    struct module_watch *watch = &f->drain.watch;
    uint64_t now_ns = clock_monotonic_ns();
    if (!request->looked)
        request->looked = (!watch->changing && modules_cover(&watch->modules, request->address)) ||
                          module_watch_scan(watch, clock_ticks());
    bool all_known = request->looked && !plans_are_missing(&f->plans);
    if (all_known || is_hopeless(f) || is_too_long(request, now_ns)) {
        plans_settle(&f->plans, request->address);
        __atomic_store_n(&agent.plans_crowded, f->plans.crowded, __ATOMIC_RELAXED);
        return true;
    }
    request->again = now_ns >= request->asked_ns + SIGNALS_WAIT_NS;
    f->awaited = true;
    return request->again;
}

/* Returns whether the thread has its answer. */
static bool answer(struct flusher *f, struct attach_request *request)
{
    bool answered = true;
    switch (request->kind) {
    case REQUEST_RING:
        roster_attach(&f->roster, request);
        break;
    case REQUEST_FOLLOW:
        flusher_follow(f);
        break;
    case REQUEST_PLANS:
        answered = await_plans(f, request);
        break;
    case REQUEST_LOOK:
    case REQUEST_LOOK_AGAIN:
        answered = look(f, request);
    }
    if (!answered)
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

bool flusher_answer(struct flusher *f)
{
    struct attach_request *late = f->late;
    /* Oldest first, so that threads are numbered in the order they came. */
    struct attach_request *oldest = reversed(__atomic_exchange_n(&agent.requests, NULL, __ATOMIC_SEQ_CST));
    bool answered = false;
    f->late = NULL;
    f->awaited = false;
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
