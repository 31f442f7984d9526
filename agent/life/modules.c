#include "agent/life/modules.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/life/maps.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/ship/proto.h"

#define FIRST_CAPACITY 64u
#define LARGEST_COUNT 65536u
#define PROGRAM_HEADERS 64
#define NOTE_BYTES 4096
#define IMPLAUSIBLE_SIZE (1ull << 46)

/* Fields of Module and Segment. */
enum { NUMBER = 1, PATH, BUILD_ID, LOAD_BIAS, SEGMENTS, LOADED_TICKS, UNLOADED_TICKS };
enum { SEGMENT_ADDRESS = 1, SEGMENT_SIZE, SEGMENT_OFFSET, SEGMENT_FLAGS };

int modules_open(struct modules *m)
{
    *m = (struct modules){.capacity = FIRST_CAPACITY};
    m->list = memory_get(m->capacity * sizeof *m->list);
    if (m->list == NULL)
        return -ENOMEM;
    m->memory_fd = sys_openat(AT_FDCWD, "/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
    m->maps_fd = sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    return 0;
}

static bool read_memory(const struct modules *m, uint64_t address, void *to, size_t size)
{
    return sys_call6(SYS_pread64, m->memory_fd, (long)to, (long)size, (long)address, 0, 0) == (long)size;
}

static void find_build_id(const struct modules *m, struct module *module, const Elf64_Phdr *header)
{
    uint8_t notes[NOTE_BYTES];
    size_t size = header->p_filesz < sizeof notes ? header->p_filesz : sizeof notes;
    if (!read_memory(m, module->load_bias + header->p_vaddr, notes, size))
        return;
    for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t value = name + (((size_t)note.n_namesz + 3) & ~3ull);
        size_t next = value + (((size_t)note.n_descsz + 3) & ~3ull);
        if (value > size || next > size)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
            note.n_descsz <= sizeof module->build_id) {
            memcpy(module->build_id, notes + value, note.n_descsz);
            module->build_id_bytes = note.n_descsz;
            return;
        }
        at = next;
    }
}

static void take_segment(struct module *module, const Elf64_Phdr *header)
{
    if (module->segments == MODULE_SEGMENTS || header->p_memsz > IMPLAUSIBLE_SIZE)
        return;
    module->segment[module->segments].address = header->p_vaddr;
    module->segment[module->segments].size_bytes = header->p_memsz;
    module->segment[module->segments].file_offset = header->p_offset;
    module->segment[module->segments].flags = header->p_flags;
    module->segments++;
    uint64_t end = module->load_bias + header->p_vaddr + header->p_memsz;
    if (end > module->end)
        module->end = end;
}

/* Reads the ELF headers at module->start. Returns whether it is a loaded object. */
static bool read_headers(const struct modules *m, struct module *module)
{
    Elf64_Ehdr elf;
    Elf64_Phdr headers[PROGRAM_HEADERS];
    if (!read_memory(m, module->start, &elf, sizeof elf) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
        elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_phentsize != sizeof headers[0] ||
        elf.e_phnum > PROGRAM_HEADERS)
        return false;
    if (!read_memory(m, module->start + elf.e_phoff, headers, elf.e_phnum * sizeof headers[0]))
        return false;
    bool found = false;
    for (int i = 0; i < elf.e_phnum && !found; i++) {
        if (headers[i].p_type != PT_LOAD || headers[i].p_offset != 0)
            continue;
        module->load_bias = module->start - headers[i].p_vaddr;
        found = true;
    }
    for (int i = 0; i < elf.e_phnum && found; i++) {
        if (headers[i].p_type == PT_LOAD)
            take_segment(module, &headers[i]);
        if (headers[i].p_type == PT_NOTE && module->build_id_bytes == 0)
            find_build_id(m, module, &headers[i]);
    }
    return found && module->segments > 0;
}

static struct module *new_place(struct modules *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].path[0] == '\0')
            return &m->list[i];
    if (m->count == m->capacity) {
        size_t bytes = m->capacity * sizeof *m->list;
        struct module *moved = m->capacity < LARGEST_COUNT ? memory_grow(m->list, bytes, bytes * 2) : NULL;
        if (moved == NULL)
            return NULL;
        m->list = moved;
        m->capacity *= 2;
    }
    return &m->list[m->count++];
}

/* The kernel's name of a file that is deleted, or replaced, while it is mapped. */
static bool same_path(const struct module *module, const struct mapping *mapping)
{
    size_t length = strlen(module->path);
    if (strncmp(mapping->path, module->path, length) != 0)
        return false;
    return mapping->path[length] == '\0' || strcmp(mapping->path + length, " (deleted)") == 0;
}

static struct module *known(struct modules *m, const struct mapping *mapping)
{
    for (size_t i = 0; i < m->count; i++) {
        struct module *module = &m->list[i];
        if (module_is_there(module) && module->start == mapping->start && module->inode == mapping->inode &&
            same_path(module, mapping))
            return module;
    }
    return NULL;
}

/* A file mapped only to be read has its code inside a mapping that cannot be executed. */
static bool is_data(const struct module *module, const struct mapping *mapping)
{
    for (uint32_t i = 0; i < module->segments; i++) {
        uint64_t address = module->load_bias + module->segment[i].address;
        bool inside = address >= mapping->start && address < mapping->end;
        if ((module->segment[i].flags & PF_X) != 0 && inside && !mapping->executable)
            return true;
    }
    return false;
}

/* A mapping of a file's beginning, with its name, may be a module's first. */
static void consider(struct modules *m, const struct mapping *mapping, uint64_t now_ticks)
{
    bool named = mapping->path[0] == '/' || strcmp(mapping->path, "[vdso]") == 0;
    if (!named || mapping->offset != 0 || !mapping->readable)
        return;
    struct module *module = known(m, mapping);
    if (module != NULL) {
        module->seen = true;
        return;
    }
    module = new_place(m);
    if (module == NULL)
        return;
    *module = (struct module){.start = mapping->start, .inode = mapping->inode, .seen = true};
    if (!read_headers(m, module) || is_data(module, mapping))
        return; /* the path is empty: the place stays free */
    module->number = m->next_number++;
    module->loaded_ticks = now_ticks;
    module->announce = true;
    memcpy(module->path, mapping->path, sizeof module->path);
}

bool modules_scan(struct modules *m, uint64_t now_ticks)
{
    struct maps_reader reader;
    struct mapping mapping;
    if (maps_begin(&reader, m->maps_fd) < 0)
        return false;
    for (size_t i = 0; i < m->count; i++)
        m->list[i].seen = false;
    int status;
    while ((status = maps_next(&reader, &mapping)) > 0)
        consider(m, &mapping, now_ticks);
    if (status < 0)
        return false; /* what was not seen may be there */

    bool gone = false;
    for (size_t i = 0; i < m->count; i++) {
        struct module *module = &m->list[i];
        if (!module_is_there(module) || module->seen)
            continue;
        module->unloaded_ticks = now_ticks;
        module->announce = module->held = true;
        gone = true;
    }
    m->covered_start = m->covered_end = 0;
    return gone;
}

/* Holds the modules found where this one was instead of it. */
static void give_place(struct modules *m, struct module *gone)
{
    gone->held = false;
    for (size_t i = 0; i < m->count; i++) {
        struct module *module = &m->list[i];
        if (module_is_there(module) && module->announce && module->start < gone->end &&
            module->end > gone->start)
            module->held = true;
    }
}

bool modules_replaced(struct modules *m)
{
    struct maps_reader reader;
    struct mapping mapping;
    bool any = false;
    if (maps_begin(&reader, m->maps_fd) < 0)
        return false;
    while (maps_next(&reader, &mapping) > 0) {
        for (size_t i = 0; i < m->count; i++) {
            struct module *module = &m->list[i];
            bool gone = module->held && module->unloaded_ticks != 0;
            if (!gone || mapping.start >= module->end || mapping.end <= module->start)
                continue;
            give_place(m, module);
            any = true;
        }
    }
    return any;
}

void modules_release(struct modules *m)
{
    for (size_t i = 0; i < m->count; i++)
        m->list[i].held = false;
    m->covered_start = m->covered_end = 0;
}

bool modules_cover(struct modules *m, uint64_t address)
{
    if (address >= m->covered_start && address < m->covered_end)
        return true;
    for (size_t i = 0; i < m->count; i++) {
        const struct module *module = &m->list[i];
        bool there = module_is_there(module) || module->held;
        if (!there || address < module->start || address >= module->end)
            continue;
        m->covered_start = module->start;
        m->covered_end = module->end;
        return true;
    }
    return false;
}

size_t module_describe(const struct module *module, uint8_t *at, size_t size)
{
    struct proto p = {.bytes = at, .size = size};
    proto_uint(&p, NUMBER, module->number);
    proto_string(&p, PATH, module->path);
    if (module->build_id_bytes > 0)
        proto_bytes(&p, BUILD_ID, module->build_id, module->build_id_bytes);
    proto_uint(&p, LOAD_BIAS, module->load_bias);
    for (uint32_t i = 0; i < module->segments; i++) {
        uint8_t bytes[64];
        struct proto segment = {.bytes = bytes, .size = sizeof bytes};
        proto_uint(&segment, SEGMENT_ADDRESS, module->segment[i].address);
        proto_uint(&segment, SEGMENT_SIZE, module->segment[i].size_bytes);
        proto_uint(&segment, SEGMENT_OFFSET, module->segment[i].file_offset);
        proto_uint(&segment, SEGMENT_FLAGS, module->segment[i].flags);
        proto_bytes(&p, SEGMENTS, bytes, segment.length);
    }
    proto_uint(&p, LOADED_TICKS, module->loaded_ticks);
    proto_uint(&p, UNLOADED_TICKS, module->unloaded_ticks);
    return p.length;
}

void module_announced(struct module *module)
{
    module->announce = false;
    if (module->unloaded_ticks != 0)
        module->path[0] = '\0';
}
