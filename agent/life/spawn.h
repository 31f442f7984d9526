/*
 * A thread that the program does not notice.
 */
#ifndef CALLTRACE_LIFE_SPAWN_H
#define CALLTRACE_LIFE_SPAWN_H

/* Starts `main_function` on a thread of its own. Returns 0 or -errno. The new thread inherits the signal
 * mask, which must block everything.
 *
 * libc does not know this thread: it is not counted when the program's last thread ends, not signalled by
 * setuid(), not seen by a debugger of threads. It shares the program's memory, but neither its table of
 * descriptors nor its directories: what it opens the program cannot see or close, and the program's
 * limits, closefrom() and chroot() do not touch it. It has no errno and must not call into libc, save for
 * pure functions.
 *
 * Built with CALLTRACE_PTHREAD_FLUSHER (for sanitizers, whose runtime must know every thread) it is an
 * ordinary thread with a table of descriptors of its own. */
int spawn_thread(void (*main_function)(void));

#endif
