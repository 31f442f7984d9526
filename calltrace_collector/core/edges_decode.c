/* Reads the call graph of a chunk; see edges.h. Nothing of it is trusted. */
#include <stdlib.h>

#include "calltrace_collector/core/edges.h"

/* One caller, and its callees behind the `used` ones of those before. Returns how many there are then. */
static uint32_t read_group(struct call_graph *graph, uint32_t number, uint32_t used, uint32_t entered,
                           int64_t *last_site, struct reader *bytes)
{
    struct callee_group *group = &graph->groups[number];
    uint32_t before = number ? group[-1].site_plus_1 : 0;
    uint32_t step = (uint32_t)read_at_most(bytes, UINT32_MAX - before);
    bytes->failed |= number && !step;
    *group = (struct callee_group){before + step, used, (uint32_t)read_at_most(bytes, entered - used)};
    for (uint32_t i = 0; i < group->count && !bytes->failed; i++) {
        /* Wraps when it is nonsense, and then is out of range. */
        int64_t site = (int64_t)((uint64_t)*last_site + (uint64_t)zigzag_decode(read_varint(bytes)));
        bytes->failed |= site < 0 || site >= UINT32_MAX;
        graph->callees[used + i].site = (uint32_t)site;
        *last_site = site;
    }
    return used + group->count;
}

uint32_t call_graph_group(const struct call_graph *graph, uint64_t site_plus_1)
{
    const struct callee_group *groups = graph->groups;
    uint32_t first = 0, count = graph->group_count;
    while (count) {
        uint32_t half = count / 2;
        if (groups[first + half].site_plus_1 == site_plus_1)
            return first + half;
        bool is_above = groups[first + half].site_plus_1 < site_plus_1;
        first += is_above ? half + 1 : 0;
        count = is_above ? count - half - 1 : half;
    }
    return graph->group_count;
}

int call_graph_read(struct call_graph *graph, struct reader *bytes, uint32_t entered)
{
    *graph = (struct call_graph){.group_count = (uint32_t)read_at_most(bytes, entered)};
    graph->groups = malloc(((size_t)graph->group_count + 1) * sizeof(*graph->groups));
    graph->callees = malloc(((size_t)entered + 1) * sizeof(*graph->callees));
    if (!graph->groups || !graph->callees)
        return CT_ENOMEM;
    uint32_t used = 0;
    int64_t last_site = 0;
    for (uint32_t i = 0; i < graph->group_count && !bytes->failed; i++)
        used = read_group(graph, i, used, entered, &last_site, bytes);
    if (bytes->failed)
        return CT_EMALFORMED;
    graph->groups[graph->group_count] = (struct callee_group){0, 0, 0};
    graph->callees[used] = (struct callee){0, graph->group_count};
    graph->callee_count = used;
    for (uint32_t i = 0; i < used; i++)
        graph->callees[i].group = call_graph_group(graph, (uint64_t)graph->callees[i].site + 1);
    return 0;
}

void call_graph_free(struct call_graph *graph)
{
    free(graph->groups);
    free(graph->callees);
}
