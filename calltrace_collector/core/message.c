/* The envelope: an AgentMessage's sequence number, and where its body lies. */
#include <string.h>

#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/wire.h"

/* Field numbers of AgentMessage (proto/calltrace/v1/ingest_service.proto). */
enum { FIELD_SEQUENCE = 1, FIELD_FIRST_BODY = 2, FIELD_LAST_BODY = 7 };

int ct_message_peek(const uint8_t *message, size_t size, struct ct_message *out)
{
    struct wire wire = wire_of(message, size);
    struct wire_field field;
    int status;

    memset(out, 0, sizeof(*out));
    while ((status = wire_next(&wire, &field)) > 0) {
        if (field.number == FIELD_SEQUENCE && field.type == WIRE_VARINT) {
            out->sequence = field.value;
        } else if (field.number >= FIELD_FIRST_BODY && field.number <= FIELD_LAST_BODY &&
                   field.type == WIRE_BYTES) {
            /* A parser would merge two of the same kind; no writer has a reason to write two. */
            if (out->body_field)
                return CT_EMALFORMED;
            out->body_field = field.number;
            out->body_offset = (uint64_t)(field.bytes - message);
            out->body_size = field.size;
        }
    }
    return status;
}
