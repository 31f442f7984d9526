#include "agent/ship/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/life/altstack.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/life/thread.h"

#define FIRST_CAPACITY 64u
#define RING_BYTES ((size_t)RING_WORDS * sizeof(uint64_t))
#define RING_FILE_BYTES (CALLTRACE_PAGE + RING_BYTES)

int roster_open(struct roster *r, int directory)
{
    *r = (struct roster){.directory = directory, .capacity = FIRST_CAPACITY};
    r->places = memory_get(r->capacity * sizeof *r->places);
    return r->places == NULL ? -ENOMEM : 0;
}

static int make_ring_file(const struct roster *r, size_t number)
{
    char name[32];
    struct text t = text_in(name, sizeof name);
    text_add(&t, "ring.");
    text_add_number(&t, number);
    int fd = sys_openat(r->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    int status = (int)sys_call6(SYS_fallocate, fd, 0, 0, RING_FILE_BYTES, 0, 0);
    if (status == 0)
        return fd;
    sys_call3(SYS_unlinkat, r->directory, (long)name, 0);
    sys_close(fd);
    return status;
}

/* Maps header and words, and the words once more behind them. */
static struct ring_header *map_ring(int fd)
{
    const int access = PROT_READ | PROT_WRITE;
    size_t size = RING_FILE_BYTES + RING_BYTES;
    uint8_t *at = sys_mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sys_is_error(at))
        return NULL;
    void *first = sys_mmap(at, RING_FILE_BYTES, access, MAP_SHARED | MAP_FIXED, fd, 0);
    void *second =
        sys_mmap(at + RING_FILE_BYTES, RING_BYTES, access, MAP_SHARED | MAP_FIXED, fd, CALLTRACE_PAGE);
    if (sys_is_error(first) || sys_is_error(second)) {
        sys_munmap(at, size);
        return NULL;
    }
    sys_madvise(at, size, MADV_DONTFORK);
    return (struct ring_header *)(void *)at;
}

/* A page that a forked child finds zeroed. */
static struct producer *make_producer(void)
{
    struct producer *producer = memory_get(CALLTRACE_PAGE);
    if (producer == NULL)
        return NULL;
    sys_madvise(producer, CALLTRACE_PAGE, MADV_DOFORK);
    sys_madvise(producer, CALLTRACE_PAGE, MADV_WIPEONFORK);
    return producer;
}

/* Memory that has no name: what is left in it when the process is killed nobody can recover, but until then
 * nothing is lost for want of room in the session directory. */
static int make_nameless_ring(void)
{
    int fd = (int)sys_call3(SYS_memfd_create, (long)"calltrace-ring", MFD_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int status = (int)sys_call3(SYS_ftruncate, fd, RING_FILE_BYTES, 0);
    if (status == 0)
        return fd;
    sys_close(fd);
    return status;
}

static bool make_place(struct roster *r, struct roster_place *place)
{
    int fd = make_ring_file(r, r->count);
    if (fd < 0)
        fd = make_nameless_ring();
    if (fd < 0)
        return false;
    place->ring = map_ring(fd);
    sys_close(fd);
    place->producer = make_producer();
    return place->ring != NULL && place->producer != NULL;
}

static struct roster_place *find_place(struct roster *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->places[i].taken)
            return &r->places[i];
    if (r->count == r->capacity) {
        size_t bytes = r->capacity * sizeof *r->places;
        struct roster_place *moved = memory_grow(r->places, bytes, bytes * 2);
        if (moved == NULL)
            return NULL;
        r->places = moved;
        r->capacity *= 2;
    }
    struct roster_place *place = &r->places[r->count];
    *place = (struct roster_place){0};
    if (!make_place(r, place))
        return NULL;
    r->count++;
    return place;
}

static void prepare_ring(struct ring_header *ring, uint32_t thread, const struct attach_request *request)
{
    ring->magic = RING_MAGIC;
    ring->version = CALLTRACE_LAYOUT_VERSION;
    ring->size_words = RING_WORDS;
    ring->thread = thread;
    ring->tid = request->tid;
    ring->started_ticks = request->started_ticks;
    ring->ended_ticks = 0;
    ring->stack_base = request->stack_base;
    ring->creator_tid = request->creator_tid;
    memcpy(ring->name, request->name, sizeof ring->name);
    ring->head = 0;
    ring->tail = 0;
    ring->dropped = 0;
    ring->waiting = 0;
    __atomic_store_n(&ring->state, RING_LIVE, __ATOMIC_RELEASE);
}

static struct producer *take_place(struct roster *r, const struct attach_request *request)
{
    struct roster_place *place = find_place(r);
    if (place == NULL)
        return NULL;
    uint32_t thread = r->next_thread;
    if (encode_thread_open(&place->thread, thread, request->started_ticks, request->stack_base) < 0)
        return NULL;
    r->next_thread++;
    place->taken = true;
    place->announced = false;
    place->barrier = 0;
    prepare_ring(place->ring, thread, request);
    void *altstack = place->producer->altstack;
    *place->producer = (struct producer){
        .altstack = altstack != NULL ? altstack : altstack_make(),
        .limit = RING_WORDS / 2,
        .words = (uint64_t *)(void *)((uint8_t *)place->ring + CALLTRACE_PAGE),
        .ring = place->ring,
    };
    return place->producer;
}

void roster_attach(struct roster *r, struct attach_request *request)
{
    request->producer = take_place(r, request);
}

void roster_release(struct roster_place *place)
{
    encode_thread_close(&place->thread);
    __atomic_store_n(&place->ring->state, RING_FREE, __ATOMIC_RELEASE);
    place->taken = false;
}
