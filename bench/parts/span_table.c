/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_table.c - from an address to its home word: the first that free does.
 */
#include "parts.h"

#include "span_table.h"

/* Far from where the system and the heaps put memory; never touched. */
#define BASE ((uintptr_t)1 << 44)

#define PAGES_MOST ((size_t)1 << 24)

/* One more than the page to look up next, so that each lookup waits for the one
 * before, as the rest of free does: a page's way leads over all others in no order
 * that a processor knows.  (A linear congruential generator of full period, Hull &
 * Dobell 1962: the factor is one more than a multiple of four.) */
static uint32_t home_of(size_t page, size_t pages)
{
    return (uint32_t)((page * PARTS_GOLDEN + 1) & (pages - 1)) + 1;
}

static uintptr_t address_of(size_t page)
{
    return BASE + (page << NH_PAGE_SHIFT);
}

/* By pages of the heap: the home word of any of them.  A word has 4 bytes. */
static void span_table_lookup(struct bench_state *state)
{
    static size_t prepared; /* the setup takes longer than most runs */
    size_t pages = (size_t)bench_range(state, 0);
    if (!span_table_cover(BASE, pages)) {
        bench_skip(state, "no memory for the table");
        return;
    }
    for (size_t page = 0; prepared != pages && page < pages; page++)
        span_table_set_home(address_of(page), 1, home_of(page, pages));
    prepared = pages;

    size_t at = 0;
    while (bench_keep_running(state))
        at = span_table_home(address_of(at)) - 1;
    bench_use_number(at);

    bool right = at < pages;
    for (size_t page = 0; page < pages; page++)
        right &= span_table_home(address_of(page)) == home_of(page, pages);
    if (!right)
        bench_skip(state, "not the page's home word");
}

void parts_register_span_table(void)
{
    /* No curve: the lookup does the same for each number of pages, but the
     * processor's caches do not. */
    struct bench *b = bench_register("span_table_lookup", span_table_lookup);
    bench_arg_range(b, 1, PAGES_MOST, 64);
}
