/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * inject_found.c - stands in for functions that the engine looks up in libraries.
 */
#include "inject.h"

#include <hwloc.h>
#include <hwloc/distances.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

/* FOUND(X): X(result, name, failure, parameters, arguments) of each. */
#define FOUND(X)                                                                                   \
    X(int, hwloc_topology_init, -1, (hwloc_topology_t * out), (out))                               \
    X(int, hwloc_topology_set_flags, -1, (hwloc_topology_t topology, unsigned long flags),         \
      (topology, flags))                                                                           \
    X(int, hwloc_topology_set_components, -1,                                                      \
      (hwloc_topology_t topology, unsigned long flags, const char *name), (topology, flags, name)) \
    X(int, hwloc_topology_set_all_types_filter, -1,                                                \
      (hwloc_topology_t topology, enum hwloc_type_filter_e filter), (topology, filter))            \
    X(int, hwloc_topology_set_type_filter, -1,                                                     \
      (hwloc_topology_t topology, hwloc_obj_type_t type, enum hwloc_type_filter_e filter),         \
      (topology, type, filter))                                                                    \
    X(int, hwloc_topology_set_synthetic, -1, (hwloc_topology_t topology, const char *text),        \
      (topology, text))                                                                            \
    X(int, hwloc_topology_load, -1, (hwloc_topology_t topology), (topology))                       \
    X(int, hwloc_get_type_depth, HWLOC_TYPE_DEPTH_UNKNOWN,                                         \
      (hwloc_topology_t topology, hwloc_obj_type_t type), (topology, type))                        \
    X(unsigned, hwloc_get_nbobjs_by_depth, 0, (hwloc_topology_t topology, int depth),              \
      (topology, depth))                                                                           \
    X(hwloc_obj_t, hwloc_get_obj_by_depth, NULL,                                                   \
      (hwloc_topology_t topology, int depth, unsigned index), (topology, depth, index))            \
    X(int, hwloc_distances_get_by_type, -1,                                                        \
      (hwloc_topology_t topology, hwloc_obj_type_t type, unsigned *count,                          \
       struct hwloc_distances_s **out, unsigned long kind, unsigned long flags),                   \
      (topology, type, count, out, kind, flags))                                                   \
    X(_Unwind_Reason_Code, _Unwind_Backtrace, _URC_FATAL_PHASE1_ERROR,                             \
      (_Unwind_Trace_Fn visit, void *arg), (visit, arg))                                           \
    X(_Unwind_Word, _Unwind_GetIP, 0, (struct _Unwind_Context * context), (context))               \
    X(_Unwind_Word, _Unwind_GetCFA, 0, (struct _Unwind_Context * context), (context))              \
    X(const void *, _Unwind_Find_FDE, NULL, (void *pc, void *bases), (pc, bases))

#define STAND_IN(result, name, failure, parameters, arguments)                                     \
    static result(*real_##name) parameters;                                                        \
    static result found_##name parameters                                                          \
    {                                                                                              \
        return fault_strikes(CALL_##name##_FOUND) ? failure : real_##name arguments;               \
    }
FOUND(STAND_IN)

static const char *const cannot_fail[] = {"hwloc_topology_destroy", "hwloc_bitmap_isset",
                                          "hwloc_distances_release"};

void *fault_found(const char *name, void *function)
{
    union {
        void *object;
        void (*function)(void);
    } stand_in;
#define CHOOSE(result, name_, failure, parameters, arguments)                                      \
    if (strcmp(name, #name_) == 0) {                                                               \
        memcpy(&real_##name_, &function, sizeof(function));                                        \
        stand_in.function = (void (*)(void))found_##name_;                                         \
        return stand_in.object;                                                                    \
    }
    FOUND(CHOOSE)
    for (size_t i = 0; i < sizeof(cannot_fail) / sizeof(*cannot_fail); i++)
        if (strcmp(name, cannot_fail[i]) == 0)
            return function;
    dprintf(2, "faults: %s is not in calls.def\n", name);
    abort();
}
