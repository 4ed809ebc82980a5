/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fixalloc.c - see fixalloc.h.
 */
#include "fixalloc.h"

#include "guard_map.h"
#include "limits.h"
#include "numa/placement.h"
#include "os.h"

void fixalloc_init(struct fixalloc *fix, size_t record, size_t alignment, unsigned slot)
{
    nh_require(is_power_of_two(alignment) && alignment <= NH_SYSTEM_PAGE &&
               record % alignment == 0 && record >= sizeof(void *));
    lock_init(&fix->lock, LOCK_FIXALLOC);
    fix->record = record;
    fix->slot = slot;
    fix->free = NULL;
    fix->at = fix->end = NULL;
    fix->added = NULL;
    fix->mapped = 0;
}

/* Under the lock.  What is left of the chunk before is too small for a record
 * and lost. */
static void begin_chunk(struct fixalloc *fix, char *chunk, size_t bytes)
{
    fix->at = chunk;
    fix->end = chunk + bytes / fix->record * fix->record;
}

/* Under the lock: the next chunk, which somebody added or the system gives. */
static NH_SLOW bool next_chunk(struct fixalloc *fix)
{
    struct fixalloc_chunk *added = fix->added;
    if (added != NULL) {
        size_t bytes = added->bytes;
        fix->added = added->next;
        *added = (struct fixalloc_chunk){0};
        begin_chunk(fix, (char *)added, bytes);
        return true;
    }
    size_t least = round_up(fix->record, NH_SYSTEM_PAGE);
    size_t bytes = least > NH_META_CHUNK ? least : NH_META_CHUNK;
    /* A large chunk may be refused where one record would still be granted. */
    char *chunk = guard_map(bytes);
    if (chunk == NULL && bytes > least)
        chunk = guard_map(bytes = least);
    if (chunk == NULL)
        return false;
    placement_assign(chunk, bytes, fix->slot);
    os_advise_huge(chunk, bytes, OS_HUGE_NEVER); /* few records may be all there are */
    begin_chunk(fix, chunk, bytes);
    fix->mapped += bytes;
    return true;
}

void *fixalloc_get(struct fixalloc *fix, bool *fresh)
{
    lock_acquire(&fix->lock);
    void *record = fix->free;
    *fresh = record == NULL;
    if (record != NULL) {
        fix->free = *(void **)record;
    } else if (fix->at != fix->end || next_chunk(fix)) {
        record = fix->at;
        fix->at += fix->record;
        /* Written before its user reads it: the system maps a page that is read first
         * twice, and interrupts all CPUs of the process the second time. */
        *(void **)record = NULL;
    }
    lock_release(&fix->lock);
    return record;
}

bool fixalloc_ready(struct fixalloc *fix)
{
    lock_acquire(&fix->lock);
    bool ready = fix->free != NULL || fix->at != fix->end || next_chunk(fix);
    lock_release(&fix->lock);
    return ready;
}

size_t fixalloc_wish(struct fixalloc *fix)
{
    size_t bytes = fixalloc_mapped(fix);
    if (bytes > NH_META_CHUNK_MOST)
        bytes = NH_META_CHUNK_MOST;
    if (bytes < NH_META_CHUNK)
        bytes = NH_META_CHUNK;
    return bytes > fix->record ? bytes : fix->record;
}

void fixalloc_put(struct fixalloc *fix, void *record)
{
    lock_acquire(&fix->lock);
    *(void **)record = fix->free;
    fix->free = record;
    lock_release(&fix->lock);
}

void fixalloc_add(struct fixalloc *fix, void *at, size_t bytes)
{
    nh_assert(bytes >= fix->record);
    struct fixalloc_chunk *chunk = at;
    chunk->bytes = bytes;
    lock_acquire(&fix->lock);
    chunk->next = fix->added;
    fix->added = chunk;
    fix->mapped += bytes;
    lock_release(&fix->lock);
}

size_t fixalloc_mapped(struct fixalloc *fix)
{
    lock_acquire(&fix->lock);
    size_t bytes = fix->mapped;
    lock_release(&fix->lock);
    return bytes;
}
