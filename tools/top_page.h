/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_page.h - what nearheap-top knows of a process: copies of its page of counters, and
 * where the kernel has its memory.
 *
 * A page's maker may mean ill: it is copied by reading, never mapped, and nothing of it is
 * used as a size, an index or a text for a terminal before it is checked here.  Counters
 * may be any numbers.
 */
#ifndef TOP_PAGE_H
#define TOP_PAGE_H

#include "share_page.h"

#include <sys/types.h>

#define TOP_COMMAND_ROOM 32

struct top_process {
    struct share_header header;
    uid_t user;                     /* whose file the page is */
    char command[TOP_COMMAND_ROOM]; /* printable ASCII */
    struct share_figures now, before;
    bool has_before; /* a set of figures that was taken earlier */
    int fd;          /* of the page */
};

enum top_found {
    TOP_FOUND,
    TOP_NO_PAGE, /* the process shares none */
    TOP_NO_PROCESS,
    TOP_DENIED, /* it may share one, but there are folders that the caller may not enter */
    TOP_BAD     /* no page, or one of another version */
};

/* Finds a process's page and reads it. */
enum top_found top_open(long pid, struct top_process *out);
void top_close(struct top_process *process);

/* Reads it again, from the same file; what was read before is kept in `before` when there
 * is something newer.  False when there are no whole figures. */
bool top_refresh(struct top_process *process);
/* The number is no process's any more, or another's. */
bool top_has_ended(const struct top_process *process);
/* Its file is no longer the one to be found: when it runs another program, it makes a new one. */
bool top_is_replaced(const struct top_process *process);
/* Goes on with that one; false if there is none, and all stays. */
bool top_follow(struct top_process *process);
/* Seconds since the figures were taken, and whether that is longer than it should be. */
double top_age(const struct top_process *process);
bool top_is_late(const struct top_process *process);
/* Between the two sets of figures; 0 if there is one. */
double top_seconds(const struct top_process *process);

/* A page that the caller may read, of a process that runs and whose user made it. */
struct top_page {
    long pid;
    uid_t user; /* whose file it is */
    int fd;
};

/* Calls fn with each; it returns whether it keeps the descriptor.  Of a process there may be
 * two, where it was another user's. */
void top_each(bool (*fn)(const struct top_page *page, void *arg), void *arg);
/* Reads such a one, whose descriptor is *out's when it is found to be right. */
enum top_found top_read(const struct top_page *page, struct top_process *out);

/* ---- Parts, tested alone ---- */

/* Whether figures, copied whole, are such as a process may have. */
bool top_check_figures(const struct share_figures *figures);
/* Copies the newest figures of a page whose header is right; false if they are not whole,
 * or not right. */
bool top_copy_figures(int fd, struct share_figures *out, uint64_t *generation);
/* Whether that is the name of a user's folder, of which each has one; whose. */
bool top_folder_user(const char *name, uid_t *user);

#endif
