/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pages.h - large objects and nh_pages_alloc's pages between pages that nobody may
 * touch, in a hardened process (harden.h); in others just spans.
 *
 * The guards are a part of such a span while it is handed out, but its descriptor is narrowed to
 * what lies between, so all others know nothing of them; the span table finds nothing
 * there.  Before the span goes back it is made whole again.
 *
 * Where the system refuses (each guard splits a mapping, of which it allows 65530), the
 * pages lie there without protection.
 */
#ifndef NH_GUARD_PAGES_H
#define NH_GUARD_PAGES_H

#include "heap.h"

/* As heap_span_alloc and heap_span_free, of what is not cut into objects.  In a hardened
 * process the contents do not survive guard_span_free. */
struct span *guard_span_alloc(struct heap *heap, const struct span_request *want);
void guard_span_free(struct heap *heap, struct span *span, bool zeroed);

#endif
