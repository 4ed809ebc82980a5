/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libc_info.c - glibc's functions that tell about malloc; only in the library
 * that replaces it.
 */
#include "log.h"
#include "options.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's parameters tune glibc's structures; none has a meaning here.
 * Setting one succeeds, as for a parameter without effect. */
EXPORT int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 1;
}

EXPORT void malloc_stats(void)
{
    (void)stats_print(STDERR_FILENO, STATS_TEXT);
}

#ifdef __GLIBC__ /* others have no types for the rest */

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0; /* read at different moments */
}

/* As glibc counts: large objects (its mmapped ones) in hblks and hblkhd only. */
EXPORT struct mallinfo2 mallinfo2(void)
{
    size_t large = 0;
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        large += atomic_load_explicit(&heap->large_pages, memory_order_relaxed) << NH_PAGE_SHIFT;
    struct nh_stats s;
    stats_of_process(&s);
    size_t resident = less(s.mapped_bytes, s.released_bytes);
    size_t small_live = less(s.live_bytes, large);
    size_t arena = less(resident, large);
    return (struct mallinfo2){
        .arena = arena,
        .ordblks = less(s.spans, s.large_objects),
        .hblks = s.large_objects,
        .hblkhd = large,
        .uordblks = small_live,
        .fordblks = less(arena, small_live),
        .keepcost = less(s.free_bytes, s.released_bytes),
    };
}

static int clamp(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* The old form has ints: what does not fit reads as INT_MAX. */
EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clamp(m.arena),
        .ordblks = clamp(m.ordblks),
        .hblks = clamp(m.hblks),
        .hblkhd = clamp(m.hblkhd),
        .uordblks = clamp(m.uordblks),
        .fordblks = clamp(m.fordblks),
        .keepcost = clamp(m.keepcost),
    };
}

EXPORT int malloc_info(int options, FILE *out)
{
    if (options != 0)
        return EINVAL;
    struct nh_stats s;
    fputs("<malloc version=\"nearheap-1\">\n", out);
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;) {
        struct nh_node_stats node;
        stats_of_heap(heap, &node);
        fprintf(out, "<heap nr=\"%d\">\n", node.node);
#define ELEMENT(name, unit, meaning)                                                               \
    fprintf(out, "  <%s unit=\"%s\">%" PRIu64 "</%s>\n", #name, unit, node.name, #name);
        NH_NODE_STATS(ELEMENT)
#undef ELEMENT
        fputs("</heap>\n", out);
    }
    stats_of_process(&s);
    fprintf(out,
            "<system type=\"current\" size=\"%" PRIu64 "\"/>\n"
            "<system type=\"resident\" size=\"%" PRIu64 "\"/>\n</malloc>\n",
            s.mapped_bytes, s.mapped_bytes - s.released_bytes);
    return 0;
}

#endif
