/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * live.c - see live.h.
 */
#include "live.h"

#include "fuzz.h"
#include "nearheap.h"
#include "retune.h"

#include <pthread.h>
#include <stdbool.h>

#define VALUE_ROOM 4096

/* Options are changed by one thread at a time, in the engine by the attendant. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
/* By it. */
static char first[OPTIONS][VALUE_ROOM];
static bool known;

static bool is_live(enum option_id id)
{
    return options_row(id)->when == OPTION_LIVE;
}

static void print(enum option_id id, char value[VALUE_ROOM])
{
    struct text text = {.at = value, .room = VALUE_ROOM};
    *value = '\0';
    options_print(&text, id);
}

static void know(void)
{
    (void)nh_node_count(); /* now they are read */
    for (int i = 0; i < OPTIONS && !known; i++)
        print((enum option_id)i, first[i]);
    known = true;
}

static bool change(enum option_id id, const char *value)
{
    char why[VALUE_ROOM];
    struct text problem = {.at = why, .room = sizeof(why)};
    bool changed = retune(id, value, &problem);
    FUZZ_CHECK(changed == (problem.used == 0));
    return changed;
}

bool live_try(enum option_id id, const char *value)
{
    pthread_mutex_lock(&changing);
    know();
    bool changed = change(id, value);
    pthread_mutex_unlock(&changing);
    return changed;
}

void live_set(enum option_id id, const char *value)
{
    FUZZ_CHECK(live_try(id, value));
}

void live_restore(void)
{
    char value[VALUE_ROOM];
    pthread_mutex_lock(&changing);
    know();
    for (int i = 0; i < OPTIONS; i++) {
        if (!is_live((enum option_id)i))
            continue;
        print((enum option_id)i, value);
        if (strcmp(value, first[i]) != 0)
            FUZZ_CHECK(change((enum option_id)i, first[i]));
    }
    pthread_mutex_unlock(&changing);
}
