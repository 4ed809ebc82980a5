/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bad_pointer.c - see bad_pointer.h.
 */
#include "bad_pointer.h"

#include "log.h"
#include "options.h"
#include "probe.h"
#include "size_class.h"
#include "span_table.h"

#include <stdlib.h>
#include <string.h>

static void act(void)
{
    if (options_get(OPT_BAD_FREE) == BAD_FREE_ABORT)
        abort();
}

void bad_pointer_report(const char *call, const void *ptr)
{
    probe_bad_free(ptr, call);
    if (options_get(OPT_BAD_FREE) == BAD_FREE_IGNORE)
        return;
    uintptr_t at = (uintptr_t)ptr;
    const struct span *span = span_table_find(at);
    enum span_state state = span != NULL ? span_state(span) : SPAN_DEAD;
    if (state == SPAN_IN_USE) {
        size_t bytes = span->bytes != 0 ? span->bytes : span->pages << NH_PAGE_SHIFT;
        size_t into = (at - span->base) % bytes;
        if (into == 0 && strcmp(call, "nh_pages_free") == 0)
            log_line(LOG_ERROR, "bad %s of %p: an object of %zu bytes, which free takes", call, ptr,
                     bytes);
        else if (into != 0)
            log_line(LOG_ERROR, "bad %s of %p: inside an object of %zu bytes at %p", call, ptr,
                     bytes, (const void *)(at - into));
        else
            log_line(LOG_ERROR, "bad %s of %p: already free", call, ptr);
    } else if (state == SPAN_MANUAL && span->cls == NH_CLASS_PAGES) {
        log_line(LOG_ERROR, "bad %s of %p: in %zu pages of nh_pages_alloc at %p", call, ptr,
                 span->pages, (const void *)span->base);
    } else if (state == SPAN_FREE) {
        log_line(LOG_ERROR, "bad %s of %p: already free", call, ptr);
    } else {
        log_line(LOG_ERROR, "bad %s of %p: not from this heap", call, ptr);
    }
    act();
}

void bad_pointer_size(const void *ptr, size_t object, size_t claimed)
{
    probe_bad_free(ptr, "free");
    if (options_get(OPT_BAD_FREE) == BAD_FREE_IGNORE)
        return;
    log_line(LOG_ERROR, "bad free of %p: object of %zu bytes freed with size %zu", ptr, object,
             claimed);
    act();
}
