/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * own_file.h - a file that a process has while it runs and removes when it ends: made by
 * the attendant, removed by whoever ends the process, who may be another thread and come
 * at any time.
 *
 * The path is written by the attendant, before own_file_is_made; its store of `owner` pairs
 * with the load in own_file_end.  Both atomics are sequentially consistent: of the one
 * that makes the file and the one that ends the process, at least one removes it.  A
 * child that no handler of fork knows of does not remove its parent's file.
 */
#ifndef NH_OWN_FILE_H
#define NH_OWN_FILE_H

#include "base.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

struct own_file {
    const char *path;    /* constant; what it points to is the attendant's */
    _Atomic pid_t owner; /* whose process's it is; 0: none is there */
    _Atomic bool ending;
};

/* The process ends. */
NH_INLINE void own_file_end(struct own_file *it)
{
    atomic_store(&it->ending, true);
    if (atomic_load(&it->owner) == getpid())
        (void)unlink(it->path);
}

/* The file is there. */
NH_INLINE void own_file_is_made(struct own_file *it)
{
    atomic_store(&it->owner, getpid());
    if (atomic_load(&it->ending))
        own_file_end(it);
}

/* Removes it while the process goes on: it is nobody's while another path is written. */
NH_INLINE void own_file_remove(struct own_file *it)
{
    if (atomic_exchange(&it->owner, 0) == getpid())
        (void)unlink(it->path);
}

/* In fork's child, before its attendant starts: the file is the parent's. */
NH_INLINE void own_file_fork_child(struct own_file *it)
{
    atomic_store(&it->owner, 0);
    atomic_store(&it->ending, false);
}

#endif
