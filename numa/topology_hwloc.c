/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topology_hwloc.c - the only file that knows hwloc.
 *
 * The library is opened when it is needed, so that processes on machines with
 * one node do not load it and machines without it still run.  Only what is
 * needed is discovered: no caches, no I/O, no memory attributes, and not by
 * the x86 back end, which moves the calling thread onto every CPU.
 */
#include "log.h"
#include "numa/topology.h"

#include <dlfcn.h>
#include <hwloc.h>
#include <hwloc/distances.h>
#include <sys/auxv.h>

#define HWLOC_LIBRARY "libhwloc.so.15"

#define HWLOC_FUNCTIONS(X)                                                                         \
    X(hwloc_topology_init)                                                                         \
    X(hwloc_topology_destroy)                                                                      \
    X(hwloc_topology_set_flags)                                                                    \
    X(hwloc_topology_set_components)                                                               \
    X(hwloc_topology_set_all_types_filter)                                                         \
    X(hwloc_topology_set_type_filter)                                                              \
    X(hwloc_topology_set_synthetic)                                                                \
    X(hwloc_topology_load)                                                                         \
    X(hwloc_get_type_depth)                                                                        \
    X(hwloc_get_nbobjs_by_depth)                                                                   \
    X(hwloc_get_obj_by_depth)                                                                      \
    X(hwloc_bitmap_isset)                                                                          \
    X(hwloc_distances_get_by_type)                                                                 \
    X(hwloc_distances_release)

struct hwloc {
#define MEMBER(name) __typeof__(name) *name;
    HWLOC_FUNCTIONS(MEMBER)
#undef MEMBER
};

static bool open_library(struct hwloc *lib)
{
    void *handle = dlopen(HWLOC_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL) {
        log_line(LOG_INFO,
                 "no hwloc (%s): nodes and CPUs as the kernel tells them, distances "
                 "unknown",
                 dlerror()); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
        return false;
    }
#define FIND(name)                                                                                 \
    {                                                                                              \
        union {                                                                                    \
            void *object;                                                                          \
            __typeof__(name) *function;                                                            \
        } found = {.object = dlsym(handle, #name)};                                                \
        if (found.object == NULL) {                                                                \
            log_line(LOG_INFO, "hwloc has no %s: not using it", #name);                            \
            return false;                                                                          \
        }                                                                                          \
        lib->name = found.function;                                                                \
    }
    HWLOC_FUNCTIONS(FIND)
#undef FIND
    return true;
}

static bool load(const struct hwloc *lib, const char *description, hwloc_topology_t topology)
{
    /* Also nodes that the cpuset excludes: it may admit them later, and threads on
     * their CPUs need to know which of the others is nearest (usable.c). */
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
#if HWLOC_API_VERSION >= 0x00020500
    flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
#endif
#if HWLOC_API_VERSION >= 0x00020800
    flags |= HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;
#endif
    /* Objects that are always kept, processors and nodes, stay in spite of
     * this filter; an hwloc that refuses a hint is used without it. */
    (void)lib->hwloc_topology_set_flags(topology, flags);
    (void)lib->hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST,
                                             "x86");
    (void)lib->hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    /* A node is attached to the group of its processors: without groups all
     * nodes would hang on the machine, and have all processors. */
    (void)lib->hwloc_topology_set_type_filter(topology, HWLOC_OBJ_GROUP,
                                              HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    if (description != NULL && lib->hwloc_topology_set_synthetic(topology, description) != 0) {
        log_line(LOG_ERROR,
                 "NEARHEAP_TOPOLOGY=%s%s: hwloc refuses the description; all threads share the "
                 "first of its nodes",
                 TOPOLOGY_SYNTHETIC_PREFIX, description);
        return false;
    }
    if (lib->hwloc_topology_load(topology) != 0) {
        log_line(LOG_INFO, "hwloc cannot discover the machine: nodes as the kernel tells them");
        return false;
    }
    return true;
}

/* The slot of a node by its system number, or of one that is none of ours the
 * last; -1 for none. */
static int slot_of_node(const struct topology *out, unsigned os_node)
{
    for (unsigned slot = 0; slot < out->slots; slot++)
        if (out->os_node[slot] == (int)os_node)
            return (int)slot;
    return -1;
}

static void read_distances(const struct hwloc *lib, hwloc_topology_t topology, struct topology *out)
{
    unsigned n = 1;
    struct hwloc_distances_s *matrix;
    if (lib->hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &n, &matrix,
                                         HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
        n == 0)
        return;
    for (unsigned i = 0; i < matrix->nbobjs; i++)
        for (unsigned j = 0; j < matrix->nbobjs; j++) {
            int from = slot_of_node(out, matrix->objs[i]->os_index);
            int to = slot_of_node(out, matrix->objs[j]->os_index);
            uint64_t value = matrix->values[i * matrix->nbobjs + j];
            if (from >= 0 && to >= 0)
                out->distance[from][to] = (uint16_t)(value > UINT16_MAX ? UINT16_MAX : value);
        }
    lib->hwloc_distances_release(topology, matrix);
}

static void read_nodes(const struct hwloc *lib, hwloc_topology_t topology, struct topology *out)
{
    int pu_depth = lib->hwloc_get_type_depth(topology, HWLOC_OBJ_PU);
    unsigned pus = lib->hwloc_get_nbobjs_by_depth(topology, pu_depth);
    unsigned nodes = lib->hwloc_get_nbobjs_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE);
    for (unsigned p = 0; p < pus && p < NH_CPUS_MAX; p++) {
        const struct hwloc_obj *pu = lib->hwloc_get_obj_by_depth(topology, pu_depth, p);
        for (unsigned i = 0; pu != NULL && i < nodes; i++) {
            const struct hwloc_obj *node =
                lib->hwloc_get_obj_by_depth(topology, HWLOC_TYPE_DEPTH_NUMANODE, i);
            if (node == NULL || !lib->hwloc_bitmap_isset(node->cpuset, pu->os_index))
                continue;
            int slot = out->synthetic ? (int)(i < out->slots ? i : out->slots - 1)
                                      : slot_of_node(out, node->os_index);
            if (slot < 0)
                continue; /* the kernel is asked for this CPU when a thread runs there */
            if (out->synthetic)
                out->slot_of_pu[p] = (uint8_t)slot;
            else if (pu->os_index < NH_CPUS_MAX)
                out->slot_of_cpu[pu->os_index] = (uint8_t)slot;
            break;
        }
    }
    if (out->synthetic)
        out->pus = pus < NH_CPUS_MAX ? pus : NH_CPUS_MAX;
}

bool topology_ask_hwloc(const char *description, struct topology *out)
{
    struct hwloc lib;
    hwloc_topology_t topology;
    /* By variables of its own hwloc loads plugins and reads files, also for a program that has
     * more rights than who started it. */
    if (getauxval(AT_SECURE) != 0 || !open_library(&lib) || lib.hwloc_topology_init(&topology) != 0)
        return false;
    bool loaded = load(&lib, description, topology);
    if (loaded) {
        read_nodes(&lib, topology, out);
        read_distances(&lib, topology, out);
        log_line(LOG_INFO, "topology: %u nodes%s, from hwloc", out->slots,
                 out->synthetic ? " (synthetic)" : "");
    }
    lib.hwloc_topology_destroy(topology);
    return loaded;
}
