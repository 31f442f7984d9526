/*
 * What the program's threads ask of the flusher and wait for (life/thread.h): a ring, a look at the modules
 * before and after a library goes, other rights.
 */
#include "agent/life/agent.h"
#include "agent/life/futex.h"
#include "agent/life/thread.h"
#include "agent/ship/flusher_state.h"

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

bool flusher_answer(struct flusher *f)
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
