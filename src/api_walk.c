/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api_walk.c - the public functions that go through all spans or objects, and the dump.
 */
#include "api.h"
#include "dump.h"
#include "numa/placement.h"
#include "process.h"
#include "snapshot.h"

#include <errno.h>

/* The states have public names of the same values. */
NH_STATIC((int)NH_SPAN_IN_USE == (int)SPAN_IN_USE && (int)NH_SPAN_MANUAL == (int)SPAN_MANUAL &&
              (int)NH_SPAN_FREE == (int)SPAN_FREE,
          "states are told as they are");
#define ANY_STATE 0

static bool take(struct snapshot *out)
{
    process_start();
    if (snapshot_take(out, SNAPSHOT_COLLECT))
        return true;
    errno = ENOMEM;
    return false;
}

static void describe_span(const struct snapshot_span *from, struct nh_span *out)
{
    const struct span_view *view = &from->view;
    bool cut = span_view_is_cut(view);
    bool one = !cut && (view->state == SPAN_IN_USE || view->cls == NH_CLASS_PAGES);
    *out = (struct nh_span){.struct_size = sizeof(*out),
                            .base = (const void *)view->base,
                            .size = view->pages << NH_PAGE_SHIFT,
                            .generation = span_view_generation(view),
                            .object_size = cut || one ? span_view_object_bytes(view) : 0,
                            .objects = cut ? view->objects : one,
                            .held = snapshot_held(from),
                            .state = view->state,
                            .size_class = view->cls < NH_CLASSES ? view->cls : 0,
                            .home_node = placement_node(view->lender),
                            .user_node = placement_node(view->slot)};
}

static int walk_spans(int state, int (*fn)(const struct nh_span *span, void *arg), void *arg)
{
    struct snapshot snapshot;
    if (!take(&snapshot))
        return -1;
    int stopped = 0;
    for (size_t i = 0; i < snapshot.spans && stopped == 0; i++) {
        struct nh_span span;
        describe_span(&snapshot.span[i], &span);
        if (state == ANY_STATE || span.state == state)
            stopped = fn(&span, arg);
    }
    snapshot_drop(&snapshot);
    return stopped;
}

int nh_walk_spans(int (*fn)(const struct nh_span *span, void *arg), void *arg)
{
    return walk_spans(ANY_STATE, fn, arg);
}

int nh_foreach(enum nh_span_state state, int (*fn)(const struct nh_span *span, void *arg),
               void *arg)
{
    return walk_spans((int)state, fn, arg);
}

/* fn with each object of a span that the program holds. */
static int each_held(const struct snapshot_span *span,
                     int (*fn)(const struct nh_object *object, void *arg), void *arg)
{
    const struct span_view *view = &span->view;
    struct lookup at = {.what = view->cls == NH_CLASS_PAGES ? NH_PAGES : NH_OBJECT,
                        .object = span_view_object(view),
                        .size = span_view_object_bytes(view),
                        .span = *view};
    struct nh_object object = {.struct_size = sizeof(object)};
    bool cut = span_view_is_cut(view);
    unsigned places = cut ? view->objects : snapshot_held(span);
    int stopped = 0;
    for (unsigned i = 0; i < places && stopped == 0; i++, at.object += at.size) {
        if (cut && object_bits_is_free(&span->bits, i))
            continue;
        api_describe(&at, &object);
        stopped = fn(&object, arg);
    }
    return stopped;
}

int nh_walk_objects(int (*fn)(const struct nh_object *object, void *arg), void *arg)
{
    struct snapshot snapshot;
    if (!take(&snapshot))
        return -1;
    int stopped = 0;
    for (size_t i = 0; i < snapshot.spans && stopped == 0; i++)
        stopped = each_held(&snapshot.span[i], fn, arg);
    snapshot_drop(&snapshot);
    return stopped;
}

int nh_dump(int fd)
{
    process_start();
    int error = dump_write(fd);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}
