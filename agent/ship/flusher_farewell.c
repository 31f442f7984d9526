/*
 * How the flusher ends: the last of the rings, the goodbye, and the word that the process may go.
 */
#include "agent/life/agent.h"
#include "agent/life/futex.h"
#include "agent/ship/announce.h"
#include "agent/ship/flusher_state.h"

#define FINISH_PATIENCE_NS 5000000000ull /* without any word from the collector, at the end */

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

void flusher_finish(struct flusher *f, uint64_t now_ns)
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
