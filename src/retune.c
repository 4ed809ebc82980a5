/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * retune.c - see retune.h.
 *
 * VERBOSE, BAD_FREE, HUGE and INTERLEAVE are read where they are used, each time.
 */
#include "retune.h"

#include "cache.h"
#include "guard.h"
#include "node_limit.h"
#include "profile.h"
#include "watch.h"

/* What is free already goes back in its time, where nothing did before; or no longer. */
static void decay_changed(void)
{
    size_t waiting = 0;
    if (options_get(OPT_DECAY) < 0) {
        watch_stop();
        return;
    }
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        waiting += heap_waiting_pages(heap);
    watch_for(waiting);
}

static void cache_changed(void)
{
    heap_change_rounds();
    cache_registry_fit();
    cache_flush(); /* what CPUs hold beyond it; threads' magazines go with their next exchange */
}

static void rate_changed(void)
{
    if (profile_on()) /* so there is what walks stacks */
        (void)profile_start((uint64_t)options_get(OPT_PROFILE_RATE));
}

bool retune(enum option_id id, const char *value, struct text *problem)
{
    const struct option *row = options_row(id);
    long number = 0;
    if (row->when != OPTION_LIVE) {
        text_add(problem, "%s is read at the process's start alone", row->variable);
        return false;
    }
    if (!options_parse(row, value, &number)) {
        options_refuse(problem, row, value);
        return false;
    }
    if (id == OPT_NODE_LIMIT) {
        if (!node_limit_is_sound(value, problem) || !node_limit_is_of_nodes(value, problem))
            return false;
        heap_change_limits(value);
        return true;
    }
    if (id == OPT_GUARD && !guard_set((size_t)number)) {
        text_add(problem,
                 "%s=%s: there can be no guard pages in this process, whose standard error "
                 "tells why",
                 row->variable, value);
        return false;
    }
    options_set(id, number);
    switch (id) {
    case OPT_DECAY:
        decay_changed();
        break;
    case OPT_CACHE:
        cache_changed();
        break;
    case OPT_PROFILE_RATE:
        rate_changed();
        break;
    default:
        break;
    }
    return true;
}
