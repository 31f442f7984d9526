/* What register_probe.S writes to, and the events of one call. */
#include <stdint.h>
#include <string.h>

#define EVENTS 4096
#define STACK_WORDS 16384
#define SNAPSHOT_WORDS 600

struct event {
    uint64_t kind, function, return_address;
    uint64_t general[16], xmm[32];
    uint64_t stack[SNAPSHOT_WORDS]; /* from the stack pointer on */
};

#pragma GCC visibility push(hidden)
uint64_t probe_general[16], probe_xmm[32], probe_garbage[32];
void probe_record(uint64_t function, uint64_t return_address, uint64_t kind);
#pragma GCC visibility pop

#pragma GCC visibility push(protected)
uint64_t general_in[16], xmm_in[32], stack_in[32], general_out[16], xmm_out[32], stack_start, room[64];
uint8_t returns_x87, x87_out[16];
struct event events[EVENTS];
uint64_t event_count;
#pragma GCC visibility pop
static uint64_t stack[STACK_WORDS] __attribute__((aligned(64)));

void prepare(void)
{
    event_count = 0;
    memset(probe_garbage, 0xa5, sizeof(probe_garbage));
    stack_start = (uint64_t)(stack + STACK_WORDS - 1024);
    memset(stack, 0x5a, sizeof(stack));
}

void probe_record(uint64_t function, uint64_t return_address, uint64_t kind)
{
    if (event_count >= EVENTS)
        return;
    struct event *event = &events[event_count++];
    event->kind = kind;
    event->function = function;
    event->return_address = return_address;
    memcpy(event->general, probe_general, sizeof(probe_general));
    memcpy(event->xmm, probe_xmm, sizeof(probe_xmm));
    memcpy(event->stack, (void *)event->general[7], sizeof(event->stack));
}
