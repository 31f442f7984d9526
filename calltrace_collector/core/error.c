/* The core's error codes in words. */
#include "calltrace_collector/core/core.h"

const char *ct_error_text(int code)
{
    switch (code) {
    case CT_ENOMEM:
        return "out of memory";
    case CT_EMALFORMED:
        return "malformed data";
    case CT_ERANGE:
        return "a number that names nothing";
    case CT_ESTACK:
        return "an event that does not fit the stack of open calls";
    case CT_ELIMIT:
        return "more than the limits allow";
    case CT_EORDER:
        return "a batch that does not follow the one before";
    default:
        return code >= 0 ? "no error" : "unknown error";
    }
}
