/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * special.h - records attached to an object: what is to be done when it is freed.
 *
 * At most one of a kind an object.  They are kept by the page that the object begins
 * on, sorted by address and kind.  While such a page has one, its home word names the
 * class NH_CLASS_SPECIAL, whose bins are always full (row.h): so every free of an
 * object that begins there takes the slow path, which looks here.  Objects on other
 * pages pay nothing, and the fast paths know nothing.  Whoever reads a home word and
 * wants the class of an object reads it by object_home.
 *
 * An object with a record is live, so its span stays what it is and nobody else
 * writes the home words of its pages.
 *
 * Thread-safe; errno is the caller's.  Records lie on the node of the object.
 */
#ifndef NH_SPECIAL_H
#define NH_SPECIAL_H

#include "profile.h"
#include "row.h"
#include "span_table.h"

/* In the order in which they are dealt with when an object is freed. */
enum special_kind { SPECIAL_FINALIZER, SPECIAL_SAMPLE };

struct special {
    struct special *next; /* in its bucket; the shard's lock */
    /* The rest belongs to whoever has the record in hand, while it is linked to nobody. */
    uintptr_t object;
    enum special_kind kind;
    unsigned slot; /* heap whose record it is; constant */
    union {
        struct {
            void (*fn)(void *ptr, void *arg);
            void *arg;
        } finalizer;
        struct profile_ticket ticket; /* SPECIAL_SAMPLE */
    };
};

/* The home word of a page as it would be without records. */
uint32_t special_home(uintptr_t address);

/* The home word of an object; 0 for what is none. */
NH_INLINE uint32_t object_home(const void *ptr)
{
    uint32_t home = span_table_home((uintptr_t)ptr);
    return nh_likely(row_home_class(home) != NH_CLASS_SPECIAL) ? home
                                                               : special_home((uintptr_t)ptr);
}

/* Whether an object begins at `ptr`, which then is the caller's, and live. */
bool special_may_have(const void *ptr);

/* A record for an object of the caller's, linked to nothing; NULL without memory. */
struct special *special_new(const void *object, enum special_kind kind);
/* A record that is linked to nothing goes. */
void special_drop(struct special *special);
/* False when the object has one of the kind already. */
bool special_link(struct special *special, const void *object);
/* Takes an object's record of a kind, or NULL. */
struct special *special_unlink(const void *object, enum special_kind kind);

/* A finalizer that was taken from `ptr`, which is about to be freed, runs, and its record goes. */
void special_finalize(struct special *special, void *ptr);

/* The size of a sampled object, which has more room than it was given out with; 0 when it
 * is none. */
size_t special_sampled_size(const void *object);

/* free was given what is of no size class, or of a hardened process, by its home word.  Does what
 * records say, with no lock held; then frees it, large or small, or reports it.  False when the
 * object, whose home word *home is now, is of a size class and its bin looks full: that is left to
 * do. */
bool special_free(void *ptr, uint32_t *home);

/* fork: all locks of this. */
void special_lock_all(void);
void special_unlock_all(void);

#endif
