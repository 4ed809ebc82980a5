/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In a hardened process (NEARHEAP_HARDEN=1) metadata lies between pages that nobody may touch:
 * what guard_map gives, and descriptors, leaves of the table of spans, heaps with their central
 * lists, magazines, records of objects and of a profile, each of which a heap made that is used.
 */
#include "unit.h"

#include "guard_map.h"
#include "heap.h"
#include "nearheap.h"
#include "os.h"
#include "profile.h"
#include "span_table.h"
#include "special.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define MAPPINGS_MOST 4096

struct mapping {
    uintptr_t begin, end;
    bool none; /* of read, write, execute */
};

static size_t read_mappings(struct mapping *all)
{
    size_t count = 0;
    char line[512], may[5];
    FILE *file = fopen("/proc/self/maps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_true(count < MAPPINGS_MOST);
        struct mapping *at = &all[count++];
        assert_int_equal(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &at->begin, &at->end, may),
                         3);
        at->none = strncmp(may, "---", 3) == 0;
    }
    fclose(file);
    return count;
}

/* The memory around `at` that may be touched, which may be several mappings.  Guards are pages
 * of the process: where there is nothing something else may come to lie. */
static struct mapping enclosed(const void *at)
{
    static struct mapping all[MAPPINGS_MOST];
    size_t count = read_mappings(all), first = 0;
    while (first < count && all[first].end <= (uintptr_t)at)
        first++;
    assert_true(first < count && all[first].begin <= (uintptr_t)at && !all[first].none);
    size_t last = first;
    while (first > 0 && all[first - 1].end == all[first].begin && !all[first - 1].none)
        first--;
    while (last + 1 < count && all[last + 1].begin == all[last].end && !all[last + 1].none)
        last++;
    assert_true(first > 0 && all[first - 1].end == all[first].begin);
    assert_true(all[first - 1].end - all[first - 1].begin >= os_page());
    assert_true(last + 1 < count && all[last + 1].begin == all[last].end);
    assert_true(all[last + 1].end - all[last + 1].begin >= os_page());
    return (struct mapping){all[first].begin, all[last].end, false};
}

static bool is_mapped(uintptr_t at)
{
    static struct mapping all[MAPPINGS_MOST];
    size_t count = read_mappings(all);
    for (size_t i = 0; i < count; i++)
        if (all[i].begin <= at && at < all[i].end)
            return true;
    return false;
}

static void what_it_maps(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, NH_SYSTEM_PAGE, NH_SYSTEM_PAGE + 1, NH_META_CHUNK};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *at = guard_map(sizes[i]);
        assert_non_null(at);
        memset(at, 0x41, sizes[i]);
        struct mapping whole = enclosed(at);
        assert_int_equal(whole.begin, at);
        assert_int_equal(whole.end, at + round_up(sizes[i], os_page()));
        guard_discard(at, sizes[i]);
        assert_false(is_mapped(whole.begin - 1) || is_mapped(whole.begin) ||
                     is_mapped(whole.end - 1) || is_mapped(whole.end));
    }
}

static void metadata_of_a_heap(void **state)
{
    (void)state;
    char *object = nh_malloc(100);
    assert_non_null(object);
    struct mapping around = enclosed(span_table_hint((uintptr_t)object));
    assert_true(around.end - around.begin >= sizeof(struct span));

    const struct table_leaf *leaf = span_table_leaf((uintptr_t)object);
    around = enclosed(leaf);
    assert_int_equal(around.begin, leaf);
    assert_int_equal(around.end - around.begin, sizeof(*leaf));

    struct heap *heap = heap_after(NULL);
    assert_true(heap_centrals(heap) >= 1);
    around = enclosed(&heap->central[1]);
    assert_true(around.begin <= (uintptr_t)heap && (uintptr_t)(heap + 1) <= around.end);
    assert_true(around.end - around.begin < sizeof(*heap) + NH_SYSTEM_PAGE);

    bool fresh;
    void *magazine = heap_record(heap, &heap->magazines, &fresh);
    assert_non_null(magazine);
    (void)enclosed(magazine);
    fixalloc_put(&heap->magazines, magazine);
    nh_free(object);
}

static void nothing(void *object, void *arg)
{
    (void)object, (void)arg;
}

static void records(void **state)
{
    (void)state;
    void *object = nh_malloc(100);
    assert_int_equal(nh_attach_finalizer(object, nothing, NULL), 0);
    struct special *special = special_unlink(object, SPECIAL_FINALIZER);
    assert_non_null(special);
    (void)enclosed(special);
    special_drop(special);
    nh_free(object);

    if (nh_profile_start(1) != 0) { /* no unwinder */
        assert_int_equal(errno, ENOSYS);
        return;
    }
    nh_free(nh_malloc(100));
    nh_profile_stop();
    assert_non_null(profile_stacks());
    (void)enclosed(profile_stacks());
}

int main(void)
{
    nh_free(nh_malloc(1));
    if (!harden_on()) {
        fputs("unit_guard_map: run with NEARHEAP_HARDEN=1\n", stderr);
        return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_it_maps),
                                       cmocka_unit_test(metadata_of_a_heap),
                                       cmocka_unit_test(records)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
