/*
 * dlclose(): before a library goes, the flusher gets to know it, if it has not yet; and after it has gone,
 * where its events end in each ring. Whatever is loaded at its addresses next so gets its own names.
 *
 * In between, rings are drained only where they must. When the flusher then finds another library in the
 * place of the one that went, for another thread was quick, it does not know whose the events are, and names
 * neither.
 */
#include <link.h>

#include "agent/interpose/real.h"
#include "agent/life/agent.h"
#include "agent/life/thread.h"
#include "agent/record/clock.h"

typedef int close_type(void *);

static void ask_to_look(enum request_kind kind, uint64_t ticks)
{
    struct attach_request request = {.kind = kind, .started_ticks = ticks};
    thread_ask(&request);
}

/* How many libraries have been loaded and unloaded since the program began. */
struct changes {
    unsigned long long loaded;
    unsigned long long unloaded;
};

static int count_changes(struct dl_phdr_info *info, size_t size, void *to)
{
    struct changes *changes = to;
    (void)size;
    *changes = (struct changes){info->dlpi_adds, info->dlpi_subs};
    return 1;
}

/* A call of dlclose(). */
struct closing {
    struct changes before;
    uint64_t ticks;
};

static int look_again(struct dl_phdr_info *info, size_t size, void *of)
{
    const struct closing *closing = of;
    (void)size;
    if (info->dlpi_subs != closing->before.unloaded && agent_is_running())
        ask_to_look(REQUEST_LOOK_AGAIN, closing->ticks);
    return 1;
}

static unsigned long long looked_at; /* changes.loaded when the flusher looked last */

EXPORT int dlclose(void *library)
{
    static void *place;
    close_type *close = (close_type *)(uintptr_t)real_once(&place, "dlclose");
    if (!agent_is_running())
        return close(library);
    struct closing closing = {0};
    dl_iterate_phdr(count_changes, &closing.before);
    if (__atomic_load_n(&looked_at, __ATOMIC_ACQUIRE) != closing.before.loaded) {
        ask_to_look(REQUEST_LOOK, 0);
        __atomic_store_n(&looked_at, closing.before.loaded, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&agent.closing, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&agent.code_changes, 1, __ATOMIC_SEQ_CST);
    int status = close(library);
    closing.ticks = clock_ticks();
    dl_iterate_phdr(look_again, &closing);
    __atomic_fetch_sub(&agent.code_changes, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&agent.closing, 1, __ATOMIC_SEQ_CST);
    return status;
}
