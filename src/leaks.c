/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * leaks.c - see leaks.h.  By size class; large objects and pages one by one would be a
 * long list, so they are a line each.
 */
#include "leaks.h"

#include "limits.h"
#include "log.h"
#include "options.h"
#include "report_file.h"
#include "size_class.h"
#include "snapshot.h"

/* What is held, by class; pages, and objects with spans of their own, under theirs. */
struct held {
    size_t objects[NH_CLASS_SLOTS];
    size_t bytes[NH_CLASS_SLOTS];
};

static void count(const struct snapshot *snapshot, struct held *out)
{
    for (size_t i = 0; i < snapshot->spans; i++) {
        const struct span_view *view = &snapshot->span[i].view;
        size_t objects = snapshot_held(&snapshot->span[i]);
        unsigned cls = span_view_is_guarded(view) ? NH_CLASS_LARGE : view->cls;
        out->objects[cls] += objects;
        out->bytes[cls] += objects * span_view_object_bytes(view);
    }
}

/* A line of its own: all lines do not fit a buffer. */
static int line(int fd, size_t objects, size_t bytes, const char *what)
{
    char buffer[NH_LINE_MAX];
    struct text text = {.at = buffer, .room = sizeof(buffer)};
    text_add(&text, "nearheap:   %10zu %s, %zu bytes\n", objects, what, bytes);
    return log_write_all(fd, text.at, text.used);
}

/* 0, or the error of the first line that was refused. */
static int print(int fd, const struct held *held)
{
    char what[NH_LINE_MAX];
    size_t objects = 0, bytes = 0;
    for (unsigned cls = 0; cls < NH_CLASS_SLOTS; cls++) {
        objects += held->objects[cls];
        bytes += held->bytes[cls];
    }
    struct text text = {.at = what, .room = sizeof(what)};
    text_add(&text, "nearheap: held at exit: %zu objects, %zu bytes\n", objects, bytes);
    int error = log_write_all(fd, text.at, text.used);
    for (unsigned cls = 1; error == 0 && cls < NH_CLASSES; cls++) {
        if (held->objects[cls] == 0)
            continue;
        text.used = 0;
        text_add(&text, "of %zu bytes", size_class_bytes(cls));
        error = line(fd, held->objects[cls], held->bytes[cls], what);
    }
    if (error == 0 && held->objects[NH_CLASS_LARGE] != 0)
        error = line(fd, held->objects[NH_CLASS_LARGE], held->bytes[NH_CLASS_LARGE],
                     "with spans of their own");
    if (error == 0 && held->objects[NH_CLASS_PAGES] != 0)
        error = line(fd, held->objects[NH_CLASS_PAGES], held->bytes[NH_CLASS_PAGES],
                     "of nh_pages_alloc");
    return error;
}

void leaks_at_exit(void)
{
    const char *where = options_text(OPT_LEAKS);
    if (!report_file_wanted(where))
        return;
    struct snapshot snapshot;
    if (!snapshot_take(&snapshot, SNAPSHOT_COLLECT)) {
        log_line(LOG_ERROR, "no memory to list what is held (NEARHEAP_LEAKS)");
        return;
    }
    struct held held = {0};
    count(&snapshot, &held);
    snapshot_drop(&snapshot);
    const char *variable = options_row(OPT_LEAKS)->variable;
    int fd = report_file_open(where, variable);
    if (fd >= 0)
        report_file_close(fd, where, variable, print(fd, &held));
}
