/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run_values.c - see run_values.h.
 */
#include "run_values.h"

#include "node_limit.h"
#include "numa/placement.h"
#include "numa/topology.h"

#include <signal.h>
#include <stddef.h>

/* Whether its handler can be set: to what it is, by which nothing changes. */
static bool can_be_handled(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && sigaction(number, &action, NULL) == 0;
}

static bool is_signal(const char *value, long number, struct text *problem)
{
    if (number == 0 || can_be_handled((int)number))
        return true;
    text_add(problem, "%s=%s is a signal that no program can handle",
             options_row(OPT_PROFILE_SIGNAL)->variable, value);
    return false;
}

bool run_value_is_sound(enum option_id id, const char *value, struct text *problem)
{
    long number;
    if (!options_parse(options_row(id), value, &number)) {
        options_refuse(problem, options_row(id), value);
        return false;
    }
    switch (id) {
    case OPT_NODE_LIMIT:
        return node_limit_is_sound(value, problem);
    case OPT_INTERLEAVE_NODES:
        return placement_list_is_sound(value, problem);
    case OPT_TOPOLOGY:
        return topology_spec_is_sound(value, problem);
    case OPT_PROFILE_SIGNAL:
        return is_signal(value, number, problem);
    default:
        return true;
    }
}
