/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bad_pointer.c - see bad_pointer.h.
 */
#include "bad_pointer.h"

#include "guard_report.h"
#include "lock.h"
#include "lookup.h"
#include "options.h"
#include "probe.h"

#include <stdlib.h>
#include <string.h>

/* Where the thread notes what it finds; NULL where it may report at once. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct bad_pointers *noted;

void bad_pointer_gather(struct bad_pointers *into)
{
    into->count = 0;
    noted = into;
}

static NH_SLOW void report_noted(const struct bad_pointers *from)
{
    for (unsigned i = 0; i < from->count && i < BAD_POINTERS_NOTED; i++)
        bad_pointer_report("free", from->ptr[i]);
    if (from->count > BAD_POINTERS_NOTED && options_get(OPT_BAD_FREE) != BAD_FREE_IGNORE)
        bad_pointer_line("bad free of %u more pointers, found at once",
                         from->count - BAD_POINTERS_NOTED);
}

void bad_pointer_gathered(struct bad_pointers *from)
{
    noted = NULL;
    if (nh_unlikely(from->count != 0))
        report_noted(from);
}

void bad_pointer_act(const void *ptr)
{
    /* A handler of SIGABRT may allocate, and fork. */
    nh_assert(lock_depth == 0 || (lock_depth & LOCK_FORKING) != 0);
    guard_report_free((uintptr_t)ptr);
    if (options_get(OPT_BAD_FREE) == BAD_FREE_ABORT)
        abort();
}

void bad_pointer_report(const char *call, const void *ptr)
{
    if (noted != NULL) {
        if (noted->count < BAD_POINTERS_NOTED)
            noted->ptr[noted->count] = ptr;
        noted->count++;
        return;
    }
    probe_bad_free(ptr, call);
    if (options_get(OPT_BAD_FREE) == BAD_FREE_IGNORE)
        return;
    struct lookup at;
    lookup_address((uintptr_t)ptr, &at);
    const void *object = (const void *)at.object;
    switch (at.what) {
    case NH_OBJECT:
    case NH_FREE_OBJECT:
        if (object != ptr)
            bad_pointer_line("bad %s of %p: inside an object of %zu bytes at %p", call, ptr,
                             at.size, object);
        else if (strcmp(call, "nh_pages_free") == 0)
            bad_pointer_line("bad %s of %p: an object of %zu bytes, which free takes", call, ptr,
                             at.size);
        else
            bad_pointer_line("bad %s of %p: already free", call, ptr);
        break;
    case NH_PAGES:
        bad_pointer_line("bad %s of %p: in %zu pages of nh_pages_alloc at %p", call, ptr,
                         at.span.pages, object);
        break;
    case NH_FREE_PAGES:
    case NH_CHANGING: /* some other thread is about to use what was freed */
        bad_pointer_line("bad %s of %p: already free", call, ptr);
        break;
    case NH_REST:
        if (span_view_is_guarded(&at.span)) {
            bad_pointer_line("bad %s of %p: beside an object of %zu bytes at %p", call, ptr,
                             span_view_object_bytes(&at.span), (void *)span_view_object(&at.span));
            break;
        }
        bad_pointer_line("bad %s of %p: behind the last object of %u bytes in its span", call, ptr,
                         at.span.bytes);
        break;
    case NH_NOTHING:
        bad_pointer_line("bad %s of %p: not from this heap", call, ptr);
        break;
    }
    bad_pointer_act(ptr);
}

void bad_pointer_size(const void *ptr, size_t object, size_t claimed)
{
    probe_bad_free(ptr, "free");
    if (options_get(OPT_BAD_FREE) == BAD_FREE_IGNORE)
        return;
    bad_pointer_line("bad free of %p: object of %zu bytes freed with size %zu", ptr, object,
                     claimed);
    bad_pointer_act(ptr);
}
