/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_fixalloc.c - records do not overlap, are aligned, come back last in
 * first out and never change their type; what `fresh` says is true; threads;
 * a system that refuses memory.
 */
#include "fixalloc.h"
#include "limits.h"
#include "os.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

struct shape {
    size_t record, alignment, count;
};

/* Among them records that leave a rest of the chunk, and one that is larger
 * than a chunk. */
static const struct shape shapes[] = {
    {sizeof(void *), 8, 40000},
    {24, 8, 20000},
    {48, 16, 10000},
    {128, 64, 5000},
    {512, 512, 2000},
    {2624, 64, 300},
    {4096, 4096, 200},
    {100032, 64, 7},
    {NH_META_CHUNK, 4096, 5},
    {NH_META_CHUNK + 8, 8, 3},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static bool all_bytes_are(const void *at, unsigned char value, size_t n)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void fresh_records(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        const struct shape *shape = &shapes[s];
        struct fixalloc fix;
        memset(&fix, 0xee, sizeof(fix));
        fixalloc_init(&fix, shape->record, shape->alignment, 0);
        assert_int_equal(fixalloc_mapped(&fix), 0);
        void **records = test_calloc(shape->count, sizeof(void *));
        for (size_t i = 0; i < shape->count; i++) {
            bool fresh = false;
            records[i] = fixalloc_get(&fix, &fresh);
            assert_non_null(records[i]);
            assert_true(fresh);
            assert_int_equal((uintptr_t)records[i] % shape->alignment, 0);
            assert_true(all_bytes_are(records[i], 0, shape->record));
            memset(records[i], (int)(i % 255 + 1), shape->record);
        }
        /* Had two overlapped, one would have the other's bytes. */
        for (size_t i = 0; i < shape->count; i++)
            assert_true(all_bytes_are(records[i], (unsigned char)(i % 255 + 1), shape->record));

        size_t chunk = round_up(shape->record, NH_SYSTEM_PAGE);
        if (chunk < NH_META_CHUNK)
            chunk = NH_META_CHUNK;
        size_t in_chunk = chunk / shape->record;
        size_t chunks = (shape->count + in_chunk - 1) / in_chunk;
        assert_int_equal(fixalloc_mapped(&fix), chunks * chunk);
        test_free(records);
    }
}

static void last_in_first_out(void **state)
{
    (void)state;
    enum { count = 1000 };
    static void *records[count];
    struct fixalloc fix;
    bool fresh;
    fixalloc_init(&fix, 64, 64, 0);
    for (size_t i = 0; i < count; i++) {
        records[i] = fixalloc_get(&fix, &fresh);
        assert_non_null(records[i]);
        memset(records[i], (int)(i % 255 + 1), 64);
    }
    size_t mapped = fixalloc_mapped(&fix);
    for (size_t i = 0; i < count; i++)
        fixalloc_put(&fix, records[i]);
    for (size_t i = count; i-- > 0;) {
        assert_ptr_equal(fixalloc_get(&fix, &fresh), records[i]);
        assert_false(fresh);
        /* Only the first word was overwritten. */
        assert_true(all_bytes_are((char *)records[i] + sizeof(void *), (unsigned char)(i % 255 + 1),
                                  64 - sizeof(void *)));
    }
    assert_int_equal(fixalloc_mapped(&fix), mapped);
    assert_non_null(fixalloc_get(&fix, &fresh));
    assert_true(fresh);
}

/* A record of one allocator never turns up in another, of the same size or not. */
static void records_keep_their_type(void **state)
{
    (void)state;
    enum { count = 20000 };
    static void *records[2][count];
    struct fixalloc fix[2];
    bool fresh;
    fixalloc_init(&fix[0], 64, 64, 0);
    fixalloc_init(&fix[1], 64, 64, 0);
    for (unsigned a = 0; a < 2; a++)
        for (size_t i = 0; i < count; i++) {
            records[a][i] = fixalloc_get(&fix[a], &fresh);
            assert_non_null(records[a][i]);
            memset(records[a][i], a == 0 ? 'a' : 'b', 64);
        }
    for (size_t i = 0; i < count; i++)
        fixalloc_put(&fix[0], records[0][i]);
    for (size_t i = 0; i < count; i++)
        fixalloc_put(&fix[1], records[1][i]);
    for (unsigned a = 0; a < 2; a++)
        for (size_t i = 0; i < count; i++) {
            char *record = fixalloc_get(&fix[a], &fresh);
            assert_false(fresh);
            assert_true(
                all_bytes_are(record + sizeof(void *), a == 0 ? 'a' : 'b', 64 - sizeof(void *)));
        }
}

#define THREADS 4
#define ROUNDS  20000
#define HELD    100

static struct fixalloc shared;

struct worker {
    pthread_t thread;
    unsigned short number;
    unsigned wrong;
    size_t fresh;
    void *held[HELD];
};

/* Stamps what it holds: a record in two hands shows as another's stamp. */
static void *works(void *arg)
{
    struct worker *worker = arg;
    unsigned short seed[3] = {worker->number, 0, 0};
    unsigned char stamp = (unsigned char)(worker->number + 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        void **at = &worker->held[(size_t)nrand48(seed) % HELD];
        if (*at != NULL) {
            if (!all_bytes_are(*at, stamp, shared.record))
                worker->wrong++;
            fixalloc_put(&shared, *at);
            *at = NULL;
            continue;
        }
        bool fresh;
        *at = fixalloc_get(&shared, &fresh);
        if (*at == NULL || (fresh && !all_bytes_are(*at, 0, shared.record))) {
            worker->wrong++;
            break;
        }
        worker->fresh += fresh;
        memset(*at, stamp, shared.record);
    }
    return NULL;
}

static void threads_share_one(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    fixalloc_init(&shared, 192, 64, 0);
    for (unsigned short i = 0; i < THREADS; i++) {
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, works, &workers[i]), 0);
    }
    size_t fresh = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        fresh += workers[i].fresh;
    }
    /* Reuse goes before new memory: never more than were held at a time. */
    assert_in_range(fresh, 1, THREADS * HELD);
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < HELD; k++)
            if (workers[i].held[k] != NULL)
                assert_true(all_bytes_are(workers[i].held[k], (unsigned char)(i + 1), 192));
}

/* Bytes of address space that this process has. */
static size_t address_space(void)
{
    char text[64] = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return strtoul(text, NULL, 10) * os_page();
}

static void system_refuses(void **state)
{
    (void)state;
    struct fixalloc fix;
    bool fresh;
    fixalloc_init(&fix, 2048, 64, 0);
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = address_space() + os_page();
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    /* No chunk, but a page; then nothing, until a record comes back. */
    char *first = fixalloc_get(&fix, &fresh);
    bool first_fresh = fresh;
    char *second = fixalloc_get(&fix, &fresh);
    bool second_fresh = fresh;
    void *third = fixalloc_get(&fix, &fresh);
    void *again = fixalloc_get(&fix, &fresh);
    size_t mapped = fixalloc_mapped(&fix);
    if (second != NULL)
        fixalloc_put(&fix, second);
    void *reused = fixalloc_get(&fix, &fresh);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);

    assert_non_null(first);
    assert_true(first_fresh);
    assert_ptr_equal(second, first + 2048);
    assert_true(second_fresh);
    assert_null(third);
    assert_null(again);
    assert_int_equal(mapped, NH_SYSTEM_PAGE);
    assert_ptr_equal(reused, second);
    assert_false(fresh);
    /* And on with whole chunks. */
    assert_non_null(fixalloc_get(&fix, &fresh));
    assert_true(fresh);
    assert_int_equal(fixalloc_mapped(&fix), NH_SYSTEM_PAGE + NH_META_CHUNK);
}

/* Memory that others give, in pieces that leave a rest: it is fresh as the system's, whether it
 * is added before the chunk in use is at its end or after. */
static void added_memory(void **state)
{
    (void)state;
    enum { record = 24, records = 10, bytes = records * record + 16 };
    static _Alignas(NH_SYSTEM_PAGE) char given[3][NH_SYSTEM_PAGE];
    struct fixalloc fix;
    bool fresh;
    fixalloc_init(&fix, record, 8, 0);
    for (unsigned i = 0; i < 2; i++)
        fixalloc_add(&fix, given[i], bytes);
    assert_int_equal(fixalloc_mapped(&fix), 2 * bytes);
    char *seen[3 * records];
    for (size_t i = 0; i < 3 * records; i++) {
        if (i == records / 2)
            fixalloc_add(&fix, given[2], bytes);
        seen[i] = fixalloc_get(&fix, &fresh);
        assert_true(fresh && all_bytes_are(seen[i], 0, record));
        memset(seen[i], (int)i + 1, record);
    }
    for (size_t i = 0; i < 3 * records; i++) {
        assert_true(all_bytes_are(seen[i], (unsigned char)(i + 1), record));
        assert_true(seen[i] >= given[0] && seen[i] < given[2] + bytes);
    }
    assert_int_equal(fixalloc_mapped(&fix), 3 * bytes);
    /* Then the system again. */
    assert_non_null(fixalloc_get(&fix, &fresh));
    assert_int_equal(fixalloc_mapped(&fix), 3 * bytes + NH_META_CHUNK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_records),           cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(records_keep_their_type), cmocka_unit_test(threads_share_one),
        cmocka_unit_test(system_refuses),          cmocka_unit_test(added_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
