/* The captured values of a batch's events. */
#ifndef CALLTRACE_CORE_BATCH_VALUES_H
#define CALLTRACE_CORE_BATCH_VALUES_H

#include "calltrace_collector/core/batch.h"

enum batch_values_field { BATCH_VALUE_SIZES = 11, BATCH_VALUES = 12 };

/* Reads the values of a batch whose other columns have been read. CT_EMALFORMED: sizes and bytes do not fit
 * each other or the events; CT_ELIMIT: an event has too many; CT_ENOMEM. */
int batch_read_values(struct batch *batch, const uint8_t *bytes, size_t size);

#endif
