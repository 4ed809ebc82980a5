/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * proc_stat.c - see proc_stat.h; the fields are those of proc_pid_stat(5).
 */
#include "proc_stat.h"

#include "log.h"
#include "numa/read_file.h"

#include <stdlib.h>
#include <string.h>

#define STAT_ROOM 1024
#define PATH_ROOM 32

/* The second field is the program's name in parentheses, which may hold anything; fields
 * are counted from behind it. */
#define FIELD_NAME    2
#define FIELD_STATE   3
#define FIELD_THREADS 20
#define FIELD_STARTED 22

/* The text of a field behind the name, NULL if there are not so many. */
static const char *find_field(const char *text, unsigned wanted)
{
    const char *at = strrchr(text, ')');
    for (unsigned field = FIELD_NAME; at != NULL && field < wanted; field++) {
        at = strchr(at, ' ');
        if (at != NULL)
            at++;
    }
    return at;
}

bool proc_stat_parse(const char *text, struct proc_stat *out)
{
    const char *state = find_field(text, FIELD_STATE);
    const char *threads = find_field(text, FIELD_THREADS);
    const char *started = find_field(text, FIELD_STARTED);
    if (state == NULL || threads == NULL || started == NULL)
        return false;
    out->state = *state;
    out->threads = strtoull(threads, NULL, 10);
    out->started = strtoull(started, NULL, 10);
    return true;
}

bool proc_stat_read(long pid, struct proc_stat *out)
{
    char buffer[PATH_ROOM], text[STAT_ROOM];
    struct text path = {.at = buffer, .room = sizeof buffer};
    text_add(&path, "/proc/%ld/stat", pid);
    return read_file(buffer, text, sizeof text) > 0 && proc_stat_parse(text, out);
}
