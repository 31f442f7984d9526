#include "agent/ship/plans.h"

#include <elf.h>
#include <errno.h>

#include "agent/life/complaint.h"
#include "agent/record/capture_table.h"
#include "agent/record/layout.h"
#include "agent/ship/plan_message.h"

static struct module *find(struct modules *modules, uint32_t number)
{
    for (size_t i = 0; i < modules->count; i++)
        if (module_is_there(&modules->list[i]) && modules->list[i].number == number)
            return &modules->list[i];
    return NULL;
}

/* Whether an address is in the module's code. What a hook returns to may be right behind its last byte. */
static bool is_code(const struct module *module, uint64_t offset, uint64_t behind)
{
    for (uint32_t i = 0; i < module->segments; i++)
        if ((module->segment[i].flags & PF_X) != 0 &&
            offset - module->segment[i].address < module->segment[i].size_bytes + behind)
            return true;
    return false;
}

static int add_hook(const struct plans *plans, const struct module *module, const struct plan_hook *planned)
{
    if (!is_code(module, planned->function_offset, 0) || !is_code(module, planned->return_offset, 1))
        return 0;
    struct capture_hook hook = {
        .return_address = module->load_bias + planned->return_offset,
        .function = module->load_bias + planned->function_offset,
        .load_bias = module->load_bias,
        .program = planned->program,
        .size = planned->program_bytes,
        .layout = planned->layout,
    };
    /* A collector that starts again sends again what a thread may be running now. */
    if (capture_table_find(hook.return_address) != NULL)
        return 0;
    return capture_table_add(&hook, plans->text_limit);
}

static void say_out_of_memory(struct plans *plans)
{
    if (!plans->out_of_memory)
        complaint_leave("no memory for all that is to be captured: some calls have no values");
    plans->out_of_memory = true;
}

static void settle(struct plans *plans, uint64_t begin, uint64_t end)
{
    if (capture_table_settle(begin, end) < 0)
        plans->crowded = true;
}

static void settle_module(struct plans *plans, struct module *module)
{
    if (!module->settled)
        settle(plans, module->start, module->end);
    module->settled = true;
}

int plans_take(struct plans *plans, const uint8_t *bytes, size_t size)
{
    struct plan_message message;
    if (plan_message_read(bytes, size, &message) < 0)
        return -EBADMSG;
    if (message.module >= plans->modules->next_number)
        return -EPROTO;
    struct module *module = find(plans->modules, message.module);
    if (module == NULL || module->planned)
        return 0;
    struct plan_hook hook;
    const uint8_t *at = NULL;
    while ((at = plan_message_hook(&message, at, &hook)) != NULL)
        if (add_hook(plans, module, &hook) == -ENOMEM)
            say_out_of_memory(plans);
    if (message.complete) {
        module->planned = true;
        settle_module(plans, module);
    }
    return 0;
}

bool plans_are_missing(const struct plans *plans)
{
    for (size_t i = 0; i < plans->modules->count; i++)
        if (module_is_there(&plans->modules->list[i]) && !plans->modules->list[i].settled)
            return true;
    return false;
}

void plans_settle(struct plans *plans, uint64_t address)
{
    for (size_t i = 0; i < plans->modules->count; i++)
        if (module_is_there(&plans->modules->list[i]))
            settle_module(plans, &plans->modules->list[i]);
    uint64_t page = address & ~(uint64_t)(CALLTRACE_PAGE - 1);
    if (!capture_table_is_settled(address))
        settle(plans, page, page + CALLTRACE_PAGE);
}
