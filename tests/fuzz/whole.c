/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * whole.c - see whole.h.
 */
#include "whole.h"

#include "fuzz.h"
#include "live.h"
#include "shadow.h"

#include "heap.h"
#include "profile_write.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>

#define TEXT_ROOM 96
#define INFO_ROOM ((size_t)256 << 10) /* of malloc_info, with as many nodes as there may be */

/* Reports are formed and written, but nobody keeps them. */
static int nowhere;

static void open_nowhere(void)
{
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FUZZ_CHECK(nowhere >= 0);
}

/* ---- What looks ---- */

/* Addresses of all kinds, in and beside objects, and any. */
static void look_anywhere(const struct call *call)
{
    uintptr_t at = (uintptr_t)call_size(call) << (call->which & 0x3f);
    struct nh_object object = {.struct_size = sizeof(object)};
    FUZZ_CHECK(nh_lookup((const void *)at, &object) == 0);
    FUZZ_CHECK(object.what >= NH_NOTHING && object.what <= NH_REST);
    (void)nh_node_of((const void *)at);
}

struct spans {
    uintptr_t end;            /* of the last one */
    enum nh_span_state state; /* 0: any */
};

static int meet_span(const struct nh_span *span, void *arg)
{
    struct spans *spans = arg;
    FUZZ_CHECK((uintptr_t)span->base >= spans->end && span->size != 0);
    FUZZ_CHECK(span->held <= span->objects);
    FUZZ_CHECK(spans->state == 0 || span->state == (int32_t)spans->state);
    spans->end = (uintptr_t)span->base + span->size;
    return 0;
}

static void walk_spans(const struct call *call)
{
    static const enum nh_span_state states[] = {NH_SPAN_IN_USE, NH_SPAN_MANUAL, NH_SPAN_FREE};
    struct spans spans = {0};
    if ((call->low & 3) == 3) {
        FUZZ_CHECK(nh_walk_spans(meet_span, &spans) == 0);
        return;
    }
    spans.state = states[call->low & 3];
    FUZZ_CHECK(nh_foreach(spans.state, meet_span, &spans) == 0);
}

static void read_statistics(const struct call *call)
{
    struct nh_pair_stats pair = {.struct_size = sizeof(pair)};
    struct nh_node_stats node = {.struct_size = sizeof(node)};
    (void)nh_pair_stats_read(0, call_node(call), &pair);
    if (nh_node_stats_read(call_node(call), &node) == 0)
        FUZZ_CHECK(node.node == call_node(call));
}

static void report(const struct call *call)
{
    static pthread_once_t opened = PTHREAD_ONCE_INIT;
    int error;
    FUZZ_CHECK(pthread_once(&opened, open_nowhere) == 0);
    switch (call->low & 3) {
    case 0:
        FUZZ_CHECK(nh_dump(nowhere) == 0);
        break;
    case 1:
        error = profile_write_to(nowhere);
        FUZZ_CHECK(error == 0 || error == EBUSY);
        break;
    case 2:
        (void)stats_print(nowhere, STATS_TEXT);
        break;
    default:
        (void)stats_print(nowhere, STATS_JSON);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), less = strlen(end);
    return length >= less && strcmp(text + length - less, end) == 0;
}

/* glibc's functions on its malloc, as the libraries have them that take its place.  Numbers are
 * read at different moments. */
static void ask_as_glibc(const struct call *call)
{
    switch (call->low & 3) {
    case 0:
        FUZZ_CHECK(mallopt(call->high, call->low) == 1);
        break;
    case 1: {
        struct mallinfo2 info = mallinfo2();
        FUZZ_CHECK(info.hblkhd % NH_PAGE_BYTES == 0);
        FUZZ_CHECK(info.fordblks <= info.arena);
        break;
    }
    case 2: {
        struct mallinfo info = mallinfo();
        FUZZ_CHECK(info.arena >= 0 && info.fordblks >= 0 && info.hblkhd >= 0);
        break;
    }
    default: {
        char *text = malloc(INFO_ROOM); /* the C library's */
        FUZZ_CHECK(text != NULL);
        FILE *to = fmemopen(text, INFO_ROOM, "w");
        FUZZ_CHECK(to != NULL);
        FUZZ_CHECK(malloc_info(1, to) == EINVAL && malloc_info(0, to) == 0);
        FUZZ_CHECK(fclose(to) == 0);
        fuzz_check_text(text, strlen(text));
        FUZZ_CHECK(ends_with(text, "</malloc>\n"));
        free(text);
    }
    }
}

/* ---- What changes something ---- */

static void fix_node(const struct call *call, int *thread_node)
{
    int node = call_node(call);
    int done = nh_set_thread_node(node);
    FUZZ_CHECK(done == (node == -1 || call_is_node(node) ? 0 : -1));
    if (done == 0)
        *thread_node = node;
}

/* Samples at the least distance: every object has a chance. */
static void sample(const struct call *call)
{
    if ((call->low & 1) != 0)
        FUZZ_CHECK(nh_profile_start((size_t)call->high * 64 + 1) == 0);
    else
        nh_profile_stop();
}

/* The kernel moves pages only where it has nodes; where the memory then lies is not known. */
static void migrate(const struct call *call)
{
    int from = call_node(call), to = (int)(call->low & 7);
    errno = 0;
    if (nh_migrate_heap(from, to, NULL) == 0)
        shadow_anywhere = true;
    else
        FUZZ_CHECK(errno == ENOSYS || !call_is_node(from) || !call_is_node(to));
}

/* Some megabytes: less than the objects of an input may want together.  For all nodes, or for
 * two of them, by names that there may not be; what is not sound is refused. */
static void limit(const struct call *call)
{
    char text[TEXT_ROOM];
    unsigned kib = call->high * 64U;
    shadow_scarce = true;
    shadow_anywhere = true;
    if ((call->low & 1) == 0)
        snprintf(text, sizeof(text), "%uk", kib);
    else
        snprintf(text, sizeof(text), "%d=%uk,%d=%uk", call->which >> 4, kib, call->low >> 1 & 7,
                 call->low * 32U);
    (void)live_try(OPT_NODE_LIMIT, text);
}

static void set_number(enum option_id id, unsigned number)
{
    char text[TEXT_ROOM];
    snprintf(text, sizeof(text), "%u", number);
    live_set(id, text);
}

static void set_huge(const struct call *call)
{
    live_set(OPT_HUGE, (call->low & 1) != 0 ? "always" : "never");
}

static void interleave(const struct call *call)
{
    shadow_anywhere = true;
    set_number(OPT_INTERLEAVE, call->high * 4096U);
}

/* Of the first kinds there is one for each value of bits 4 to 6, and the others follow, so that
 * an input which is kept goes on meaning the same. */
static unsigned kind_of(const struct call *call)
{
    return call->what >= 0xf0 && call->what != 0xff ? 8U + (call->what & 15U)
                                                    : call->what >> 4 & 7U;
}

void whole_call(const struct call *call, int *thread_node)
{
    struct nh_placement placement = {.struct_size = sizeof(placement)};
    switch (kind_of(call)) {
    case 0:
        (void)nh_malloc_trim(call_size(call));
        break;
    case 1:
        (void)nh_scavenge(call_is_node(call_node(call)) ? call_node(call) : -1);
        break;
    case 2:
        look_anywhere(call);
        break;
    case 3:
        fix_node(call, thread_node);
        break;
    case 4:
        (void)nh_placement_audit(call_node(call), call->low, &placement);
        break;
    case 5:
        read_statistics(call);
        break;
    case 6:
    case 8:
        sample(call);
        break;
    case 9:
        report(call);
        break;
    case 10:
        walk_spans(call);
        break;
    case 11:
        migrate(call);
        break;
    case 12:
    case 13:
        limit(call);
        break;
    case 14:
    case 15:
        set_number(OPT_GUARD, call->high * 16U);
        break;
    case 16:
        set_number(OPT_CACHE, call->high * 4096U);
        break;
    case 17:
        set_number(OPT_DECAY, call->low & 7U);
        break;
    case 18:
        interleave(call);
        break;
    case 19:
        set_huge(call);
        break;
    case 20:
        ask_as_glibc(call);
        break;
    default:
        FUZZ_CHECK(nh_malloc(SIZE_MAX - call_size(call)) == NULL);
        nh_free(NULL);
    }
}

/* What a node borrowed goes back, as it does in time, so that the next input knows where its
 * objects are. */
static void repay(void)
{
    (void)nh_malloc_trim(0);
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        if (heap_if_exists(slot) != NULL)
            heap_repay(heap_if_exists(slot));
}

void whole_restore(void)
{
    nh_profile_stop();
    live_restore();
    if (shadow_scarce)
        repay();
    for (int node = 0; shadow_anywhere && node < nh_node_count(); node++)
        (void)nh_migrate_heap(node, node, NULL);
    shadow_scarce = false;
    shadow_anywhere = false;
}
