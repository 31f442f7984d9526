/*
 * CapturePlan messages (proto/calltrace/v1/capture.proto): what to capture at some of the hooks of a module.
 */
#ifndef CALLTRACE_SHIP_PLAN_MESSAGE_H
#define CALLTRACE_SHIP_PLAN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan_message {
    uint32_t module; /* Module.number */
    bool complete;   /* no more follows for the module */
    const uint8_t *bytes;
    size_t size;
};

struct plan_hook {
    uint64_t return_offset; /* in the file's own numbering, as the function's */
    uint64_t function_offset;
    uint32_t layout;
    uint32_t program_bytes; /* 0 (nothing but the layout is left) to CAPTURE_PROGRAM_BYTES */
    const uint8_t *program;
};

/* Reads one and checks all of it, the hooks too; but their programs are not looked into. Returns 0 or
 * -EBADMSG: it is none. The bytes are not copied. */
int plan_message_read(const uint8_t *bytes, size_t size, struct plan_message *out);

/* Takes the next of the hooks, given NULL or where the one before ended. Returns where it ends; NULL: there
 * is no other. */
const uint8_t *plan_message_hook(const struct plan_message *message, const uint8_t *at,
                                 struct plan_hook *hook);

#endif
