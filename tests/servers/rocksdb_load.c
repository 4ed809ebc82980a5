/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rocksdb_load.c - load on a RocksDB: threads fill it, overwrite it, read it; it is
 * compacted and opened anew, and then all of it must be right.
 *
 *     rocksdb_load FOLDER THREADS RECORDS
 *
 * A record's value is made of its key and version, so that each can be told right from
 * wrong.  Thread t alone writes the keys k with k % THREADS = t.
 */
#include "load.h"
#include <rocksdb/c.h>

#define VALUE_LEAST  50          /* bytes */
#define VALUE_RANGE  1500        /* bytes beyond the least */
#define WRITE_BUFFER (4U << 20)  /* bytes; small, so that there are flushes and compactions */
#define BLOCK_CACHE  (16U << 20) /* bytes; less than the data, so that blocks come and go */
#define BACKGROUND   2           /* threads of RocksDB's own */
#define KEY_ROOM     24
#define BATCH        10 /* records of a batch when they are overwritten */
#define DROP_EVERY   7  /* keys of which one is deleted */

struct store {
    rocksdb_t *database;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *writing;
    rocksdb_readoptions_t *reading;
    unsigned long records;
    unsigned char *versions; /* of each record; 0: it is not there */
};

static void must(char *error)
{
    if (error != NULL)
        load_fail("RocksDB", error);
}

static size_t key_of(unsigned long number, char key[KEY_ROOM])
{
    return (size_t)snprintf(key, KEY_ROOM, "record:%08lu", number);
}

static size_t value_of(unsigned long number, unsigned version, char *value)
{
    uint64_t random = load_seed(number * UINT8_MAX + version);
    size_t size = VALUE_LEAST + random_next(&random) % VALUE_RANGE;
    load_fill(value, size, number, version);
    return size;
}

/* The i-th key of a worker. */
static unsigned long own_key(const struct load_worker *worker, unsigned long i)
{
    return i * worker->threads + worker->thread;
}

static void fill(struct load_worker *worker)
{
    struct store *store = worker->shared;
    char key[KEY_ROOM], value[VALUE_LEAST + VALUE_RANGE], *error = NULL;
    for (unsigned long i = 0; i < worker->operations; i++) {
        unsigned long number = own_key(worker, i);
        size_t size = value_of(number, 1, value);
        uint64_t begun = load_now();
        rocksdb_put(store->database, store->writing, key, key_of(number, key), value, size, &error);
        load_took(worker, i, begun);
        must(error);
        store->versions[number] = 1;
    }
}

/* Batches of later versions; some keys are deleted in the same breath. */
static void overwrite(struct load_worker *worker)
{
    struct store *store = worker->shared;
    unsigned long own = store->records / worker->threads;
    char key[KEY_ROOM], value[VALUE_LEAST + VALUE_RANGE], *error = NULL;
    for (unsigned long i = 0; i < worker->operations; i++) {
        rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
        for (unsigned n = 0; n < BATCH; n++) {
            unsigned long number = own_key(worker, random_next(&worker->random) % own);
            size_t length = key_of(number, key);
            if (number % DROP_EVERY == 0) {
                store->versions[number] = 0;
                rocksdb_writebatch_delete(batch, key, length);
                continue;
            }
            unsigned version = store->versions[number] % UINT8_MAX + 1U;
            store->versions[number] = (unsigned char)version;
            rocksdb_writebatch_put(batch, key, length, value, value_of(number, version, value));
        }
        uint64_t begun = load_now();
        rocksdb_write(store->database, store->writing, batch, &error);
        load_took(worker, i, begun);
        must(error);
        rocksdb_writebatch_destroy(batch);
    }
}

static void verify(struct store *store, unsigned long number)
{
    char key[KEY_ROOM], right[VALUE_LEAST + VALUE_RANGE], *error = NULL;
    size_t length = key_of(number, key), size = 0;
    char *value = rocksdb_get(store->database, store->reading, key, length, &size, &error);
    must(error);
    unsigned version = store->versions[number];
    if (version == 0 && value != NULL)
        load_fail(key, "is there, and was deleted");
    if (version != 0 && (value == NULL || size != value_of(number, version, right) ||
                         memcmp(value, right, size) != 0))
        load_fail(key, "does not have the value that was put there");
    rocksdb_free(value);
}

static void verify_first(void *shared)
{
    verify(shared, 0);
}

static void read_back(struct load_worker *worker)
{
    struct store *store = worker->shared;
    for (unsigned long i = 0; i < worker->operations; i++) {
        uint64_t begun = load_now();
        verify(store, random_next(&worker->random) % store->records);
        load_took(worker, i, begun);
    }
}

/* One operation reads all records, in order. */
static void scan(struct load_worker *worker)
{
    struct store *store = worker->shared;
    char right[VALUE_LEAST + VALUE_RANGE];
    for (unsigned long i = 0; i < worker->operations; i++) {
        uint64_t begun = load_now();
        rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->database, store->reading);
        unsigned long expected = 0;
        for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator);
             rocksdb_iter_next(iterator), expected++) {
            size_t length, size;
            const char *key = rocksdb_iter_key(iterator, &length);
            unsigned long number = strtoul(key + strlen("record:"), NULL, 10);
            const char *value = rocksdb_iter_value(iterator, &size);
            while (expected < store->records && store->versions[expected] == 0)
                expected++;
            if (number != expected || size != value_of(number, store->versions[number], right) ||
                memcmp(value, right, size) != 0)
                load_fail("scan", "a record is missing or wrong");
        }
        rocksdb_iter_destroy(iterator);
        load_took(worker, i, begun);
    }
}

static void compact(struct load_worker *worker)
{
    struct store *store = worker->shared;
    uint64_t begun = load_now();
    rocksdb_compact_range(store->database, NULL, 0, NULL, 0);
    load_took(worker, 0, begun);
}

static void open_store(struct store *store, const char *folder)
{
    char *error = NULL;
    store->database = rocksdb_open(store->options, folder, &error);
    must(error);
}

int main(int argc, char **argv)
{
    load_program = argv[0];
    if (argc != 4) {
        fputs("usage: rocksdb_load FOLDER THREADS RECORDS\n", stderr);
        return 2;
    }
    unsigned threads = (unsigned)load_number(argv[2], LOAD_THREADS_MAX);
    unsigned long records = load_number(argv[3], LOAD_WORK_MAX) / threads * threads;
    struct store store = {.options = rocksdb_options_create(),
                          .writing = rocksdb_writeoptions_create(),
                          .reading = rocksdb_readoptions_create(),
                          .records = records,
                          .versions = calloc(records + 1, 1)};
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(BLOCK_CACHE);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_options_set_create_if_missing(store.options, 1);
    rocksdb_options_set_error_if_exists(store.options, 1);
    rocksdb_options_set_write_buffer_size(store.options, WRITE_BUFFER);
    rocksdb_options_increase_parallelism(store.options, BACKGROUND);
    rocksdb_options_set_block_based_table_factory(store.options, table);
    open_store(&store, argv[1]);

    load_phase("fill", threads, records, fill, &store);
    load_phase("overwrite", threads, records / BATCH, overwrite, &store);
    load_phase("read", threads, records, read_back, &store);
    load_phase("compact", 1, 1, compact, &store);
    rocksdb_close(store.database);
    rocksdb_options_set_error_if_exists(store.options, 0);
    open_store(&store, argv[1]);
    load_phase("scan", threads, threads, scan, &store);
    for (unsigned long number = 0; number < records; number++)
        verify(&store, number);
    load_done(verify_first, &store);

    rocksdb_close(store.database);
    free(store.versions);
    rocksdb_readoptions_destroy(store.reading);
    rocksdb_writeoptions_destroy(store.writing);
    rocksdb_options_destroy(store.options);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(table);
    return 0;
}
