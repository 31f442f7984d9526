#include "agent/ship/module_watch.h"

#include "agent/life/agent.h"
#include "agent/record/capture_table.h"
#include "agent/record/clock.h"
#include "agent/ship/announce.h"
#include "agent/ship/messages.h"

#define SCAN_INTERVAL_NS 20000000ull

bool module_watch_announce(struct module_watch *w)
{
    for (size_t i = 0; i < w->modules.count; i++) {
        struct module *module = &w->modules.list[i];
        if (!module->announce || module->held)
            continue;
        uint8_t body[MODULE_MESSAGE_BYTES];
        if (!announce(w->outbox, MESSAGE_MODULE, body, module_describe(module, body, sizeof body)))
            return false;
        module_announced(module);
    }
    return true;
}

int module_watch_open(struct module_watch *w, struct outbox *outbox, struct roster *roster,
                      struct encoder *encoder)
{
    *w = (struct module_watch){.outbox = outbox, .roster = roster, .encoder = encoder};
    int status = modules_open(&w->modules);
    if (status < 0)
        return status;
    modules_scan(&w->modules, 0);
    /* Should the process be killed before anything else, it is known what its rings speak of. */
    module_watch_announce(w);
    return 0;
}

void module_watch_distrust(struct module_watch *w)
{
    if (!w->distrusted)
        __atomic_fetch_add(&agent.code_changes, 1, __ATOMIC_SEQ_CST);
    w->distrusted = true;
}

/* What was to be captured in modules that have gone is not to be captured in what comes where they were. */
static void forget_plans(struct module_watch *w)
{
    for (size_t i = 0; i < w->modules.count; i++) {
        const struct module *module = &w->modules.list[i];
        if (module->held && module->unloaded_ticks != 0)
            capture_table_remove(module->start, module->end);
    }
    if (w->distrusted)
        __atomic_fetch_sub(&agent.code_changes, 1, __ATOMIC_SEQ_CST);
    w->distrusted = false;
}

bool module_watch_scan(struct module_watch *w, uint64_t now_ticks)
{
    /* A module has to be announced before it may be gone. */
    if (w->changing || !module_watch_announce(w))
        return false;
    w->changing = modules_scan(&w->modules, now_ticks);
    forget_plans(w);
    if (!w->changing)
        return true;
    for (size_t i = 0; i < w->roster->count; i++) {
        struct roster_place *place = &w->roster->places[i];
        place->barrier = __atomic_load_n(&place->ring->head, __ATOMIC_ACQUIRE);
    }
    w->unsure = modules_replaced(&w->modules);
    if (w->unsure)
        sites_forget(&w->encoder->sites, 0, UINT64_MAX);
    return true;
}

bool module_watch_forget(struct module_watch *w)
{
    if (!w->changing)
        return false;
    for (size_t i = 0; i < w->roster->count; i++) {
        const struct roster_place *place = &w->roster->places[i];
        if (place->taken && place->thread.position < place->barrier)
            return false;
    }
    for (size_t i = 0; i < w->modules.count; i++) {
        const struct module *module = &w->modules.list[i];
        if (module->held && module->unloaded_ticks != 0)
            sites_forget(&w->encoder->sites, module->start, module->end);
    }
    if (w->unsure)
        sites_forget(&w->encoder->sites, 0, UINT64_MAX);
    modules_release(&w->modules);
    w->changing = false;
    return true;
}

static const uint64_t *address_without_module(struct module_watch *w)
{
    for (uint32_t i = 0; i < w->encoder->columns.new_address_count; i++)
        if (!modules_cover(&w->modules, w->encoder->columns.new_addresses[i]))
            return &w->encoder->columns.new_addresses[i];
    return NULL;
}

void module_watch_look(struct module_watch *w)
{
    uint64_t now_ns = address_without_module(w) != NULL ? clock_monotonic_ns() : 0;
    if (now_ns < w->next_scan_ns || now_ns == 0)
        return;
    if (module_watch_scan(w, clock_ticks()) && address_without_module(w) != NULL)
        w->next_scan_ns = now_ns + SCAN_INTERVAL_NS;
}
