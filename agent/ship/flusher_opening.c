/*
 * How the flusher opens: the session directory, what lies in it, the stream; or the line that says why this
 * program runs untraced.
 */
#include <elf.h>
#include <errno.h>

#include "agent/life/agent.h"
#include "agent/life/limits.h"
#include "agent/life/text.h"
#include "agent/record/capture_memory.h"
#include "agent/ship/flusher_state.h"

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

static void say_no_memory(const struct session *session, int status)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(&t, "no room for the trace in ");
    text_add(&t, session->path);
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

/* The executable stays, so what nobody writes to in it may be read without asking. */
static void note_executable(const struct modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        const struct module *module = &modules->list[i];
        if (agent.program_headers - module->start >= module->end - module->start)
            continue;
        for (uint32_t k = 0; k < module->segments; k++) {
            uint64_t begin = module->load_bias + module->segment[k].address;
            if ((module->segment[k].flags & (PF_R | PF_W)) == PF_R)
                capture_memory_lasts(begin, begin + module->segment[k].size_bytes);
        }
    }
}

static void open_plans(struct flusher *f)
{
    struct modules *modules = &f->drain.watch.modules;
    if (agent.config.capture[0] == '\0')
        return;
    f->plans = (struct plans){.modules = modules, .text_limit = agent.config.string_limit};
    f->uplink.plans = &f->plans;
    note_executable(modules);
}

int flusher_open(struct flusher *f)
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
    open_plans(f);
    if (status == 0)
        status = crash_report_open(&f->crash_report, &f->session, &f->roster, &f->drain.watch.modules);
    if (status < 0) {
        say_no_memory(&f->session, status);
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

void flusher_say_started(const struct flusher *f)
{
    struct text t = text_in(agent.message, sizeof agent.message);
    text_add(&t, "traced: events go to ");
    text_add(&t, agent.config.socket_path);
    text_add(&t, ", and are kept in ");
    text_add(&t, f->session.path);
    text_add(&t, " until they are stored");
}
