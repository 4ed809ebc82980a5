/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pages.c - see guard_pages.h.
 */
#include "guard_pages.h"

#include "harden.h"
#include "os.h"
#include "span_table.h"

#include <string.h>

/* From this size on memory is given back to be zero, rather than written. */
#define RELEASE_MIN ((size_t)128 << 10)

/* Pages of the heap in a guard: whole pages of the system. */
static size_t guard_pages(void)
{
    return os_whole_page() >> NH_PAGE_SHIFT;
}

/* The span is its holder's, so its bounds are his to change (span.h). */
static void set_bounds(struct span *span, uintptr_t base, size_t pages)
{
    span_change(span);
    span_store(&span->base, base);
    span_store(&span->pages, pages);
    span_settle(span);
}

struct span *guard_span_alloc(struct heap *heap, const struct span_request *want)
{
    if (!harden_on())
        return heap_span_alloc(heap, want);
    size_t guard = guard_pages();
    struct span_request all = *want;
    /* An object that is aligned to more than a guard would need so much before it. */
    size_t before = want->align_pages <= guard ? guard : 0;
    if (all.align_pages < guard)
        all.align_pages = guard;
    if (want->pages > (SIZE_MAX >> NH_PAGE_SHIFT) - 3 * guard)
        return NULL;
    size_t pages = round_up(want->pages, guard);
    all.pages = before + pages + guard;
    struct span *span = heap_span_try(heap, &all);
    if (span == NULL && !want->modest && harden_drain())
        span = heap_span_try(heap, &all);
    if (span == NULL) {
        heap_span_refused(heap, &all);
        return NULL;
    }
    span->guards_before = before != 0;
    uintptr_t base = span->base + (before << NH_PAGE_SHIFT);
    uintptr_t end = base + (pages << NH_PAGE_SHIFT);
    if (before != 0)
        (void)os_protect((void *)span->base, guard << NH_PAGE_SHIFT, OS_ACCESS_NONE);
    (void)os_protect((void *)end, guard << NH_PAGE_SHIFT, OS_ACCESS_NONE);
    set_bounds(span, base, pages);
    return span;
}

/* Makes an object between guards zero, of a span that is whole again; whether by giving all of
 * it back. */
static bool wipe(const struct span *span, uintptr_t object, size_t bytes)
{
    /* These are whole pages of the system.  Locked memory is not given back. */
    if (bytes >= RELEASE_MIN && os_release((void *)span->base, span->pages << NH_PAGE_SHIFT))
        return true;
    memset((void *)object, 0, bytes);
    return false;
}

/* Whether pages of the heap may be touched again; else they are nobody's, for ever. */
static bool open_guard(const struct page_heap *owner, uintptr_t at, size_t pages)
{
    enum os_change change = os_unprotect_zeros((void *)at, pages << NH_PAGE_SHIFT);
    if (nh_unlikely(change == OS_NEW))
        page_heap_advise(owner, (void *)at, pages << NH_PAGE_SHIFT);
    else if (nh_unlikely(change == OS_REFUSED))
        span_table_clear(at, pages);
    return change != OS_REFUSED;
}

void guard_span_free(struct heap *heap, struct span *span, bool zeroed)
{
    if (!harden_on()) {
        heap_span_free(heap, span, zeroed);
        return;
    }
    size_t guard = guard_pages();
    uintptr_t object = span->base, base = object, end = span_end(span);
    size_t bytes = end - object;
    const struct page_heap *owner = &heap_if_exists(span->lender)->pages;
    if (span->guards_before && open_guard(owner, base - (guard << NH_PAGE_SHIFT), guard))
        base -= guard << NH_PAGE_SHIFT;
    if (open_guard(owner, end, guard))
        end += guard << NH_PAGE_SHIFT;
    span->guards_before = false;
    set_bounds(span, base, (end - base) >> NH_PAGE_SHIFT);
    heap_span_free(heap, span, wipe(span, object, bytes));
}
