/*
 * What there is to say while the program runs: the flusher finds out, but its thread has no standard error.
 * So it leaves a line, and the next thread of the program that takes the slow path of a hook, or ends the
 * program, says it. One line a process: the first.
 */
#ifndef CALLTRACE_LIFE_COMPLAINT_H
#define CALLTRACE_LIFE_COMPLAINT_H

/* In a thread of the program, before the flusher starts: nothing has been said. Remembers what the standard
 * error is. */
void complaint_begin(void);

/* Leaves a line, without the line's end. */
void complaint_leave(const char *text);

/* Says what was left, unless the standard error is another file by now: a program that runs in the background
 * may have put anything in its place. */
void complaint_say(void);

#endif
