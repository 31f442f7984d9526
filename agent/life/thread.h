/*
 * The program's threads: each gets a ring at its first event and gives it back at its end.
 */
#ifndef CALLTRACE_LIFE_THREAD_H
#define CALLTRACE_LIFE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/ring.h"

#define THREAD_NAME_BYTES 16

enum request_kind {
    REQUEST_RING = 0,   /* the thread wants a ring */
    REQUEST_LOOK,       /* a library may be unloaded: what is mapped is to be known before */
    REQUEST_LOOK_AGAIN, /* one has been: what is recorded until now is its, what follows is not */
    REQUEST_FOLLOW,     /* the process has other rights than before: the flusher is to have the same */
    REQUEST_PLANS,      /* the thread is at an address of which it is not known what to capture there */
};

/* What a thread asks of the flusher, and waits for. */
struct attach_request {
    struct attach_request *next;
    enum request_kind kind;
    bool looked; /* the flusher has, and waits until what went is forgotten */
    uint32_t tid;
    uint64_t started_ticks;
    uint64_t stack_base;
    uint32_t creator_tid;
    uint64_t address;
    uint64_t begun_ns; /* when the thread began to wait for plans, */
    uint64_t asked_ns; /* and when it last asked */
    bool again;        /* the answer: it is to ask again */
    char name[THREAD_NAME_BYTES];
    struct producer *producer; /* the answer; NULL: there is no memory for a ring */
    uint32_t done;             /* futex: 1 when answered */
};

/* The producer of threads that have no ring. */
extern struct producer thread_unattached __attribute__((visibility("hidden")));

/* The kernel's id of the thread that created this one; 0: not known, or there is none. */
extern _Thread_local uint32_t thread_creator_tid __attribute__((visibility("hidden")));

/* Asks the flusher, which must run, and waits for the answer, with all signals blocked. */
void thread_ask(struct attach_request *request);

/* Gives this thread a ring, starting the agent where need be. Returns whether it has one. */
bool thread_attach(uint64_t stack_pointer);

/* Asks libc to say when a thread ends. Returns false when it cannot. */
bool thread_watch_ends(void);

#endif
