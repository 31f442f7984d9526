/*
 * Alternate signal stacks: a thread that has run out of stack can run a handler only on one of these.
 *
 * Every attached thread without one is given one. The program is told that it has none; one of its own takes
 * the place of ours.
 */
#ifndef CALLTRACE_LIFE_ALTSTACK_H
#define CALLTRACE_LIFE_ALTSTACK_H

#include <signal.h>
#include <stdbool.h>

#define ALTSTACK_BYTES (256u << 10)

/* Memory for one, with a page below it that ends the process when it is touched. NULL: there is none. Used
 * when it is touched, kept over fork, given to one thread after the other. */
void *altstack_make(void);

/* Gives this thread the stack, unless it has one. */
void altstack_give(void *stack);

/* Takes it back at the thread's end. Returns false where that cannot be: the thread runs on it. */
bool altstack_take(void *stack);

/* Whether it is what this thread was given. */
bool altstack_is_ours(const stack_t *stack);

/* Makes of ours what a handler would find there without us. */
void altstack_hide(stack_t *stack);

/* sigaltstack(). */
int altstack_set(const stack_t *stack, stack_t *old);

#endif
