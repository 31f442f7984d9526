#include "agent/record/capture_table.h"

#include <errno.h>
#include <string.h>

#include "agent/life/memory.h"

#define CAPTURE_TABLE_BYTES (256ull << 20)
#define FIRST_PLACES 1024u
#define ARENA_BYTES (1u << 20)
#define MOST_MODULES 4096u
#define HASH_FACTOR 0x9e3779b97f4a7c15ull

struct places {
    uint64_t mask;
    struct capture_hook hooks[];
};

static struct {
    struct places *places;
    uint64_t count;
    uint8_t *arena; /* of programs: what is left of the newest part */
    size_t arena_left;
    uint64_t bytes;
    uint32_t modules;
    uint32_t last_settled; /* place of the module that was looked up last */
    struct {
        uint64_t begin, end; /* the end is written last; 0: there is no module */
    } settled[MOST_MODULES];
} table;

static uint64_t first_place(const struct places *places, uint64_t return_address)
{
    return return_address * HASH_FACTOR >> 20 & places->mask;
}

static struct capture_hook *place_of(struct places *places, uint64_t return_address)
{
    uint64_t i = first_place(places, return_address);
    for (;; i = (i + 1) & places->mask) {
        uint64_t there = __atomic_load_n(&places->hooks[i].return_address, __ATOMIC_ACQUIRE);
        if (there == return_address || there == 0)
            return &places->hooks[i];
    }
}

/* Where a hook is to be: where it is, or at the place of one of a module that has gone, which no thread looks
 * for, or at a free one. */
static struct capture_hook *place_for(struct places *places, uint64_t return_address)
{
    struct capture_hook *place = place_of(places, return_address);
    uint64_t i = first_place(places, return_address);
    for (; place->return_address == 0 && &places->hooks[i] != place; i = (i + 1) & places->mask)
        if (places->hooks[i].function == 0)
            return &places->hooks[i];
    return place;
}

const struct capture_hook *capture_table_find(uint64_t return_address)
{
    struct places *places = __atomic_load_n(&table.places, __ATOMIC_ACQUIRE);
    if (places == NULL)
        return NULL;
    const struct capture_hook *hook = place_of(places, return_address);
    bool is_there = __atomic_load_n(&hook->return_address, __ATOMIC_RELAXED) != 0 &&
                    __atomic_load_n(&hook->function, __ATOMIC_RELAXED) != 0;
    return is_there ? hook : NULL;
}

static bool is_in(uint32_t module, uint64_t address)
{
    uint64_t end = __atomic_load_n(&table.settled[module].end, __ATOMIC_ACQUIRE);
    uint64_t begin = __atomic_load_n(&table.settled[module].begin, __ATOMIC_ACQUIRE);
    return begin <= address && address < end;
}

bool capture_table_is_settled(uint64_t address)
{
    uint32_t modules = __atomic_load_n(&table.modules, __ATOMIC_ACQUIRE);
    uint32_t last = __atomic_load_n(&table.last_settled, __ATOMIC_RELAXED);
    if (is_in(last, address))
        return true;
    for (uint32_t i = 0; i < modules; i++) {
        if (!is_in(i, address))
            continue;
        __atomic_store_n(&table.last_settled, i, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

static void *get(size_t bytes)
{
    if (table.bytes + bytes > CAPTURE_TABLE_BYTES)
        return NULL;
    void *memory = memory_get(bytes);
    if (memory != NULL)
        table.bytes += bytes;
    return memory;
}

/* A thread may be looking at the places that are replaced, so they are left to it. */
static int grow(void)
{
    uint64_t count = table.places == NULL ? FIRST_PLACES : 2 * (table.places->mask + 1);
    struct places *larger = get(sizeof *larger + count * sizeof larger->hooks[0]);
    if (larger == NULL)
        return -ENOMEM;
    larger->mask = count - 1;
    table.count = 0;
    for (uint64_t i = 0; table.places != NULL && i <= table.places->mask; i++) {
        const struct capture_hook *hook = &table.places->hooks[i];
        if (hook->function != 0) {
            *place_of(larger, hook->return_address) = *hook;
            table.count++;
        }
    }
    __atomic_store_n(&table.places, larger, __ATOMIC_RELEASE);
    return 0;
}

static uint8_t *take_room(size_t size)
{
    if (size > table.arena_left) {
        uint8_t *arena = get(ARENA_BYTES);
        if (arena == NULL)
            return NULL;
        table.arena = arena;
        table.arena_left = ARENA_BYTES;
    }
    uint8_t *at = table.arena;
    table.arena += size;
    table.arena_left -= size;
    return at;
}

/* Copies a program to where that of the hook was whose place it gets, or to new memory. */
static int keep(struct capture_hook *place, const struct capture_hook *hook)
{
    if (place->capacity < hook->size) {
        uint8_t *room = take_room(hook->size);
        if (room == NULL)
            return -ENOMEM;
        place->program = room;
        place->capacity = (uint16_t)hook->size;
    }
    if (hook->size != 0)
        memcpy((uint8_t *)(uintptr_t)place->program, hook->program, hook->size);
    return 0;
}

int capture_table_add(const struct capture_hook *hook, uint32_t text_limit)
{
    struct capture_hook checked = *hook;
    if (hook->return_address == 0 || hook->function == 0 || capture_check(&checked, text_limit) < 0)
        return -EINVAL;
    if ((table.places == NULL || table.count * 2 > table.places->mask) && grow() < 0)
        return -ENOMEM;
    struct capture_hook *place = place_for(table.places, hook->return_address);
    if (keep(place, hook) < 0)
        return -ENOMEM;
    table.count += place->return_address == 0;
    place->load_bias = hook->load_bias;
    place->size = hook->size;
    place->layout = hook->layout;
    place->items = checked.items;
    place->room = checked.room;
    __atomic_store_n(&place->function, hook->function, __ATOMIC_RELEASE);
    __atomic_store_n(&place->return_address, hook->return_address, __ATOMIC_RELEASE);
    return 0;
}

int capture_table_settle(uint64_t begin, uint64_t end)
{
    uint32_t place = 0;
    while (place < table.modules && table.settled[place].end != 0)
        place++;
    if (place == MOST_MODULES)
        return -ENOMEM;
    __atomic_store_n(&table.settled[place].begin, begin, __ATOMIC_RELAXED);
    __atomic_store_n(&table.settled[place].end, end, __ATOMIC_RELEASE);
    if (place == table.modules)
        __atomic_store_n(&table.modules, place + 1, __ATOMIC_RELEASE);
    return 0;
}

void capture_table_remove(uint64_t begin, uint64_t end)
{
    for (uint32_t i = 0; i < table.modules; i++)
        if (table.settled[i].begin == begin && table.settled[i].end == end)
            __atomic_store_n(&table.settled[i].end, 0, __ATOMIC_RELAXED);
    for (uint64_t i = 0; table.places != NULL && i <= table.places->mask; i++) {
        struct capture_hook *hook = &table.places->hooks[i];
        if (hook->return_address - begin < end - begin)
            __atomic_store_n(&hook->function, 0, __ATOMIC_RELAXED);
    }
}

void capture_table_forget(void)
{
    memset(&table, 0, sizeof table);
}
