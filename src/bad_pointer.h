/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bad_pointer.h - what is said of a pointer that free or realloc was given and
 * that is not a live object: one line, with the thread and the process, more where it had guard
 * pages, then what the option bad_free says.
 *
 * No lock may be held: what is found under one is gathered, and told of after it.
 */
#ifndef NH_BAD_POINTER_H
#define NH_BAD_POINTER_H

#include "base.h"
#include "log.h"

#include <unistd.h>

/* "bad <call> of 0x…: <what it is>"; `call` is "free", "realloc" or "nh_pages_free". */
NH_SLOW void bad_pointer_report(const char *call, const void *ptr);
/* free_sized with a size that is not the object's. */
NH_SLOW void bad_pointer_size(const void *ptr, size_t object, size_t claimed);
/* The line, with who saw it: all processes of a server may write to one file. */
#define bad_pointer_line(format, ...)                                                              \
    log_line(LOG_ERROR, format " (thread %d of process %d)", __VA_ARGS__, gettid(), getpid())

/* Between these, by one thread, what bad_pointer_report is called for is only noted, as a free;
 * then each is reported, or of very many how many more there are. */
#define BAD_POINTERS_NOTED 16
struct bad_pointers {
    unsigned count; /* of all */
    const void *ptr[BAD_POINTERS_NOTED];
};
void bad_pointer_gather(struct bad_pointers *into);
void bad_pointer_gathered(struct bad_pointers *from);

/* Does what the option says, for who has printed a line of his own about `ptr`. */
void bad_pointer_act(const void *ptr);

#endif
