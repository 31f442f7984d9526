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
    struct {
        uint64_t begin, end;
    } settled[MOST_MODULES];
} table;

static struct capture_hook *place_of(struct places *places, uint64_t return_address)
{
    uint64_t i = return_address * HASH_FACTOR >> 20 & places->mask;
    for (;; i = (i + 1) & places->mask) {
        uint64_t there = __atomic_load_n(&places->hooks[i].return_address, __ATOMIC_ACQUIRE);
        if (there == return_address || there == 0)
            return &places->hooks[i];
    }
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

bool capture_table_is_settled(uint64_t address)
{
    uint32_t modules = __atomic_load_n(&table.modules, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < modules; i++)
        if (address - __atomic_load_n(&table.settled[i].begin, __ATOMIC_RELAXED) <
            __atomic_load_n(&table.settled[i].end, __ATOMIC_RELAXED) -
                __atomic_load_n(&table.settled[i].begin, __ATOMIC_RELAXED))
            return true;
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

static const uint8_t *keep(const uint8_t *program, size_t size)
{
    if (size == 0) /* all that it leaves is the layout's number */
        return (const uint8_t *)"";
    if (size > table.arena_left) {
        uint8_t *arena = get(ARENA_BYTES);
        if (arena == NULL)
            return NULL;
        table.arena = arena;
        table.arena_left = ARENA_BYTES;
    }
    uint8_t *at = table.arena;
    memcpy(at, program, size);
    table.arena += size;
    table.arena_left -= size;
    return at;
}

/* A library that comes again mostly comes to the same place. */
static bool is_kept(const struct capture_hook *place, const struct capture_hook *hook)
{
    return place->return_address != 0 && place->size == hook->size &&
           memcmp(place->program, hook->program, hook->size) == 0;
}

int capture_table_add(const struct capture_hook *hook, uint32_t text_limit)
{
    struct capture_hook checked = *hook;
    if (hook->return_address == 0 || hook->function == 0 || capture_check(&checked, text_limit) < 0)
        return -EINVAL;
    if ((table.places == NULL || table.count * 2 > table.places->mask) && grow() < 0)
        return -ENOMEM;
    struct capture_hook *place = place_of(table.places, hook->return_address);
    const uint8_t *program = is_kept(place, hook) ? place->program : keep(hook->program, hook->size);
    if (program == NULL)
        return -ENOMEM;
    table.count += place->return_address == 0;
    place->load_bias = hook->load_bias;
    place->program = program;
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
    while (place < table.modules && table.settled[place].begin != table.settled[place].end)
        place++;
    if (place == MOST_MODULES)
        return -ENOMEM;
    __atomic_store_n(&table.settled[place].end, end, __ATOMIC_RELAXED);
    __atomic_store_n(&table.settled[place].begin, begin, __ATOMIC_RELAXED);
    if (place == table.modules)
        __atomic_store_n(&table.modules, place + 1, __ATOMIC_RELEASE);
    return 0;
}

void capture_table_remove(uint64_t begin, uint64_t end)
{
    for (uint32_t i = 0; i < table.modules; i++)
        if (table.settled[i].begin == begin && table.settled[i].end == end)
            __atomic_store_n(&table.settled[i].begin, end, __ATOMIC_RELAXED);
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
