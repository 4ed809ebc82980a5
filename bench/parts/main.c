/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * main.c - what the parts of the engine cost, each by itself.
 *
 * Linked with the engine under its nh_ names, and includes its internal headers:
 * Google Benchmark's own allocations are not in what is measured.  One iteration
 * is one operation, so that times can be fitted to a curve of the argument.
 * Each benchmark looks whether the part did what is claimed, and is an error if
 * not.
 */
#include "parts.h"

#include "options.h"
#include "process.h"

#include <stdio.h>
#include <stdlib.h>

/* Nothing decays meanwhile: a day. */
#define DECAY_MS   86400000
#define DECAY      TEXT(DECAY_MS)
#define TEXT(x)    TEXT_OF(x)
#define TEXT_OF(x) #x

/* Before the engine's constructor, which reads the options and has no priority; there
 * are no other threads. */
__attribute__((constructor(101))) static void choose_options(void)
{
    (void)setenv("NEARHEAP_DECAY", DECAY, 1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

int main(int argc, char **argv)
{
    if (!process_boot() || options_get(OPT_DECAY) != DECAY_MS) {
        (void)fprintf(stderr, "parts: the engine did not begin with our options\n");
        return EXIT_FAILURE;
    }
    parts_register_size_class();
    parts_register_cache();
    parts_register_central();
    parts_register_object_bits();
    parts_register_treap();
    parts_register_span_table();
    parts_register_lookup();
    parts_register_page_heap();
    return bench_main(argc, argv);
}
