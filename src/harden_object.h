/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden_object.h - an object of a size class in a hardened process (harden.h): what lies
 * unused in it and its check word, what it holds while it is free, and what is said of one
 * that was written to where nobody may.
 *
 *    live      given out; what is unused is filled, and the word says how much that is
 *    waiting   in quarantine; filled with a pattern, and the word says that it is free
 *    free      in its span; zero, the word too
 *
 * No lock may be held, and none is taken.  Of two threads that free one object, the exchange
 * of its word decides; what else is written of an object is written by who owns it then.
 */
#ifndef NH_HARDEN_OBJECT_H
#define NH_HARDEN_OBJECT_H

#include "keystream.h"
#include "span_table.h"

/* Where one lies, or may. */
struct harden_object {
    char *at;
    size_t room; /* bytes before the check word */
    const struct span *span;
    unsigned index; /* in it */
};

/* Process start, before the first object: what words and fill are made with. */
void harden_object_boot(struct keystream *random);

/* False when none begins there; whether it is live is not asked. */
bool harden_object_find(const void *ptr, struct harden_object *found);

/* Live: */

/* Whether it is; how many bytes were asked for then. */
bool harden_object_size(const struct harden_object *object, size_t *size);
/* Whether it is; reports when it is not, and what was written behind it.  `call` is as for
 * bad_pointer_report. */
bool harden_object_check(const char *call, const struct harden_object *object);
/* It has `size` bytes from now on, at most its room. */
void harden_object_set_size(const struct harden_object *object, size_t size);

/* From one to the next: */

/* A free one is live, with `size` bytes; reports what was written to it meanwhile. */
void harden_object_give_out(void *ptr, size_t size);
/* A live one waits; false, and nothing done, where harden_object_check would say so. */
bool harden_object_free(const struct harden_object *object);
/* One that waited is free; reports what was written to it meanwhile. */
void harden_object_leave(const struct harden_object *object);

#endif
