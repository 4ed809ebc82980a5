/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * dump.c - see dump.h.
 *
 * A line is a word that says what it is of, and values:
 *
 *   nearheap-dump VERSION
 *   library MAJOR.MINOR.PATCH
 *   process PID
 *   time SECONDS                      since 1970
 *   page BYTES                        the unit of spans
 *   row PAGES                         of `resident` lines: a huge page
 *   option VARIABLE VALUE             numbers and words only
 *   node NODE COUNTER VALUE ...       those of NH_NODE_STATS; -1: interleaved
 *   class NUMBER BYTES OBJECTS PAGES  how its spans are cut
 *   span ADDRESS PAGES STATE HOME USER CLASS OBJECTS HELD CACHED AGE
 *   resident ADDRESS DIGITS           a row with pages in memory
 *   end SPANS
 *
 * in this order.  Spans come in order of addresses, hexadecimal as all addresses; STATE is
 * one of the words below.  CLASS is 0 and the rest as it may be where there are no
 * objects of a class; of OBJECTS places the program has HELD, caches and lists CACHED.  AGE
 * is for how many milliseconds the pages have been free, or "-" where that is not
 * known.  Of DIGITS each hexadecimal one is four pages, lowest bit and digit first, set
 * where any of the page is in memory; "all" are all.
 */
#include "dump.h"

#include "heap.h"
#include "log.h"
#include "numa/placement.h"
#include "numa/topology.h"
#include "options.h"
#include "os.h"
#include "own_fd.h"
#include "snapshot.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What waits to be written, and the longest line, a node's. */
#define BUFFER_BYTES 8192
#define LINE_BYTES   2048
#define NS_A_S       UINT64_C(1000000000)

struct dump {
    struct own_fd file;
    int error; /* of the first write that failed */
    struct text text;
    char buffer[BUFFER_BYTES];
};

static void flush(struct dump *dump)
{
    if (dump->error == 0)
        dump->error = own_fd_is(&dump->file)
                          ? log_write_all(dump->file.fd, dump->buffer, dump->text.used)
                          : EBADF;
    dump->text.used = 0;
}

/* After each line. */
static void end_line(struct dump *dump)
{
    text_add(&dump->text, "\n");
    if (dump->text.used > BUFFER_BYTES - LINE_BYTES)
        flush(dump);
}

/* ---- What is not of single spans ---- */

static void put_option(struct dump *dump, enum option_id id)
{
    const struct option *row = options_row(id);
    if (row->kind == OPTION_TEXT)
        return;
    text_add(&dump->text, "option %s ", row->variable);
    options_print(&dump->text, id);
    end_line(dump);
}

static void put_node(struct dump *dump, struct heap *heap)
{
    struct nh_node_stats node;
    stats_of_heap(heap, &node);
    text_add(&dump->text, "node %d", node.node);
#define COUNTER(name, unit, meaning) text_add(&dump->text, " %s %" PRIu64, #name, node.name);
    NH_NODE_STATS(COUNTER)
#undef COUNTER
    end_line(dump);
}

static void put_head(struct dump *dump)
{
    uint64_t seconds = os_clock_ns(CLOCK_REALTIME) / NS_A_S;
    text_add(
        &dump->text, "nearheap-dump %d\nlibrary %s\nprocess %ld\ntime %lld\npage %zu\nrow %zu\n",
        DUMP_VERSION, nh_version(), (long)getpid(), (long long)seconds, NH_PAGE, NH_HUGE_PAGES);
    for (int id = 0; id < OPTIONS; id++)
        put_option(dump, (enum option_id)id);
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        put_node(dump, heap);
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct size_class cut;
        size_class_describe(cls, &cut);
        text_add(&dump->text, "class %u %" PRIu32 " %u %u", cls, cut.bytes, cut.objects, cut.pages);
        end_line(dump);
    }
}

/* ---- Spans ---- */

static const char *state_word(const struct span_view *view, const struct page_heap_idle *idle)
{
    switch (view->state) {
    case SPAN_IN_USE:
        return span_view_is_cut(view) ? "objects" : "large";
    case SPAN_MANUAL:
        return view->cls == NH_CLASS_PAGES ? "pages" : "leaving"; /* or guarded (guard.h) */
    default:
        return idle->clean ? "clean" : "free";
    }
}

static void put_span(struct dump *dump, const struct snapshot_span *span)
{
    const struct span_view *view = &span->view;
    struct page_heap_idle idle = {0};
    (void)page_heap_look(&heap_if_exists(view->slot)->pages, view, &idle);
    bool cut = span_view_is_cut(view);
    unsigned held = snapshot_held(span);
    unsigned cached = cut ? view->objects - span->free_objects - held : 0;
    text_add(&dump->text, "span %" PRIxPTR " %zu %s %d %d %u %u %u %u ", view->base, view->pages,
             state_word(view, &idle), placement_node(view->lender), placement_node(view->slot),
             cut ? view->cls : 0U, cut ? view->objects : 0U, held, cached);
    if (idle.aged)
        text_add(&dump->text, "%" PRIu64, idle.age_ms);
    else
        text_add(&dump->text, "-");
    end_line(dump);
}

/* ---- Pages in memory ---- */

/* Whether the heap's page at `at`, the first of `pages`, or a part of it is in memory. */
static bool page_resident(const unsigned char *told, size_t page)
{
    size_t system = os_page();
    size_t first = (page << NH_PAGE_SHIFT) / system;
    size_t last = (((page + 1) << NH_PAGE_SHIFT) - 1) / system;
    for (size_t i = first; i <= last; i++)
        if ((told[i] & OS_RESIDENT) != 0)
            return true;
    return false;
}

/* Bits of the row at `base`, and how many are set.  Where something in it is not mapped, page
 * by page. */
static unsigned ask_row(uintptr_t base, unsigned char bits[NH_HUGE_PAGES / 8])
{
    unsigned char told[NH_HUGE / NH_SYSTEM_PAGE];
    bool whole = os_resident((void *)base, NH_HUGE, told);
    unsigned count = 0;
    memset(bits, 0, NH_HUGE_PAGES / 8);
    for (size_t page = 0; page < NH_HUGE_PAGES; page++) {
        bool resident;
        if (whole) {
            resident = page_resident(told, page);
        } else {
            uintptr_t at = round_down(base + (page << NH_PAGE_SHIFT), os_page());
            size_t bytes = round_up(NH_PAGE, os_page());
            resident = os_resident((void *)at, bytes, told) && page_resident(told, 0);
        }
        bits[page / 8] |= (unsigned char)(resident << page % 8);
        count += resident;
    }
    return count;
}

static void put_row(struct dump *dump, uintptr_t base)
{
    unsigned char bits[NH_HUGE_PAGES / 8];
    unsigned count = ask_row(base, bits);
    if (count == 0)
        return;
    text_add(&dump->text, "resident %" PRIxPTR " ", base);
    if (count == NH_HUGE_PAGES)
        text_add(&dump->text, "all");
    for (size_t i = 0; count != NH_HUGE_PAGES && i < sizeof bits; i++)
        text_add(&dump->text, "%x%x", bits[i] & 0xfU, bits[i] >> 4U);
    end_line(dump);
}

/* Each row that spans lie in, once. */
static void put_rows(struct dump *dump, const struct snapshot *snapshot)
{
    uintptr_t next = 0;
    for (size_t i = 0; i < snapshot->spans && dump->error == 0; i++) {
        const struct span_view *view = &snapshot->span[i].view;
        uintptr_t row = round_down(view->base, NH_HUGE);
        for (row = row > next ? row : next; row < span_view_end(view); row += NH_HUGE)
            put_row(dump, row);
        next = row;
    }
}

int dump_write(int fd)
{
    struct snapshot snapshot;
    struct dump dump = {.error = 0};
    if (!own_fd_note(fd, &dump.file))
        return errno;
    if (!snapshot_take(&snapshot, SNAPSHOT_LEAVE))
        return ENOMEM;
    dump.text = (struct text){.at = dump.buffer, .room = sizeof dump.buffer};
    put_head(&dump);
    for (size_t i = 0; i < snapshot.spans && dump.error == 0; i++)
        put_span(&dump, &snapshot.span[i]);
    put_rows(&dump, &snapshot);
    text_add(&dump.text, "end %zu", snapshot.spans);
    end_line(&dump);
    flush(&dump);
    snapshot_drop(&snapshot);
    return dump.error;
}
