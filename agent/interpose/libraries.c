/*
 * dlclose(): before a library goes, the flusher gets to know it, if it has not yet; and after it has gone,
 * where its events end in each ring. Whatever is loaded at its addresses next so gets its own names.
 *
 * A thread that calls what another thread has loaded there in the moment between is not seen apart.
 */
#include <link.h>

#include "agent/interpose/real.h"
#include "agent/life/agent.h"
#include "agent/life/thread.h"
#include "agent/record/clock.h"

typedef int close_type(void *);

/* How many libraries have been loaded and unloaded since the program began. */
struct changes {
    uint64_t loaded;
    uint64_t unloaded;
};

static uint64_t looked_at; /* changes.loaded when the flusher looked last */

static int count_changes(struct dl_phdr_info *info, size_t size, void *to)
{
    struct changes *changes = to;
    (void)size;
    changes->loaded = info->dlpi_adds;
    changes->unloaded = info->dlpi_subs;
    return 1;
}

static void ask_to_look(enum request_kind kind, uint64_t ticks)
{
    struct attach_request request = {.kind = kind, .started_ticks = ticks};
    uint64_t signals = thread_block_signals();
    thread_ask(&request);
    thread_restore_signals(signals);
}

EXPORT int dlclose(void *library)
{
    static void *place;
    close_type *close = (close_type *)(uintptr_t)real_once(&place, "dlclose");
    if (!agent_is_running())
        return close(library);
    struct changes before = {0}, after = {0};
    dl_iterate_phdr(count_changes, &before);
    if (__atomic_exchange_n(&looked_at, before.loaded, __ATOMIC_RELAXED) != before.loaded)
        ask_to_look(REQUEST_LOOK, 0);
    int status = close(library);
    uint64_t ticks = clock_ticks();
    dl_iterate_phdr(count_changes, &after);
    if (after.unloaded != before.unloaded && agent_is_running())
        ask_to_look(REQUEST_LOOK_AGAIN, ticks);
    return status;
}
