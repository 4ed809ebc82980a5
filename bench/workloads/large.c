/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * large.c - buffers, and vectors that grow.
 */
#include "workload.h"

#include <string.h>

#define PAGE 4096U

/* ---- large ------------------------------------------------------------------
 * 32 KiB to 16 MiB, as many in each doubling; a word of each page is written, and
 * read before it is freed. */

#define LARGE_LIVE   8
#define LARGE_ROUNDS 3000

static struct workload_object large_get(uint64_t draw)
{
    size_t base = (size_t)32768 << draw % 9;
    size_t size = base + (draw >> 8) % base;
    struct workload_object object = workload_get(size);
    for (size_t at = PAGE; at + sizeof at <= size - sizeof at; at += PAGE)
        memcpy((char *)object.at + at, &at, sizeof at);
    return object;
}

static void large_put(struct workload_object object)
{
    for (size_t at = PAGE; at + sizeof at <= object.size - sizeof at; at += PAGE)
        if (memcmp((char *)object.at + at, &at, sizeof at) != 0)
            workload_fail("an object's contents changed");
    workload_put(object);
}

static void large_work(struct workload_thread *thread)
{
    struct workload_object live[LARGE_LIVE];
    for (size_t i = 0; i < LARGE_LIVE; i++)
        live[i] = large_get(random_next(&thread->random));
    size_t rounds = workload_scaled(thread, LARGE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        uint64_t draw = random_next(&thread->random);
        struct workload_object *place = &live[draw >> 48 & (LARGE_LIVE - 1)];
        large_put(*place);
        *place = large_get(draw);
    }
    for (size_t i = 0; i < LARGE_LIVE; i++)
        large_put(live[i]);
    thread->operations = rounds + LARGE_LIVE;
}

const struct workload workload_large = {
    .name = "large", .about = "buffers of 32 KiB to 16 MiB", .work = large_work};

/* ---- vectors ------------------------------------------------------------------
 * Some vectors grow by turns and by realloc, to a few MiB: one in equal steps, the
 * others by half.  An operation is one realloc. */

#define VECTORS        4
#define VECTORS_ROUNDS 40
#define VECTORS_STEP   512U
#define VECTORS_MOST   (2U << 20)

static void vector_grow(struct workload_object *vector, size_t size)
{
    void *at = realloc(vector->at, size);
    if (at == NULL)
        workload_fail("realloc returned NULL");
    /* What was there: the first word still tells the old address, as does the last
     * before the growth. */
    uint64_t first, last;
    if (vector->size != 0) {
        memcpy(&first, at, sizeof first);
        memcpy(&last, (char *)at + vector->size - sizeof last, sizeof last);
        if (first != ((uint64_t)(uintptr_t)vector->at ^ WORKLOAD_TAG) || first != last)
            workload_fail("realloc lost contents");
    }
    workload_tag(at, size);
    *vector = (struct workload_object){at, size};
}

static void vectors_work(struct workload_thread *thread)
{
    size_t rounds = workload_scaled(thread, VECTORS_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        struct workload_object vectors[VECTORS] = {0};
        for (size_t step = 1; step * VECTORS_STEP <= VECTORS_MOST; step++) {
            vector_grow(&vectors[0], step * VECTORS_STEP);
            thread->operations++;
            for (size_t i = 1; i < VECTORS; i++) {
                if (vectors[i].size >= step * VECTORS_STEP)
                    continue;
                vector_grow(&vectors[i], step * VECTORS_STEP * 3 / 2 + i * 64);
                thread->operations++;
            }
        }
        for (size_t i = 0; i < VECTORS; i++)
            workload_put(vectors[i]);
    }
}

const struct workload workload_vectors = {
    .name = "vectors", .about = "vectors that grow by realloc", .work = vectors_work};
