/*
 * Whose rights the flusher has: those of the program's main thread, always.
 *
 * libc's setuid() and its like change all threads that libc knows, and it does not know the flusher, which
 * therefore sees to it itself: a program that gives up its rights must not have a thread left that kept them.
 */
#ifndef CALLTRACE_LIFE_CREDENTIALS_H
#define CALLTRACE_LIFE_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

struct credentials {
    int main_thread; /* descriptor of its status in /proc; negative: none is to be had */
    uint64_t seen;   /* a checksum of what it said */
};

/* Called by the flusher, when it starts. */
void credentials_open(struct credentials *credentials);

/* Reads whose rights the main thread has. Returns whether they are not those read last. */
bool credentials_have_changed(struct credentials *credentials);

/* Gives the flusher the user, groups and capabilities read last. */
void credentials_follow(void);

#endif
