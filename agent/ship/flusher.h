/*
 * The thread that empties the rings.
 */
#ifndef CALLTRACE_SHIP_FLUSHER_H
#define CALLTRACE_SHIP_FLUSHER_H

/* Runs until the process ends. */
void flusher_main(void);

#endif
