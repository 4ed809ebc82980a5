/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace_rocksdb.c - fills a RocksDB for tools/record_traces: threads put, read and
 * delete records of varying size while RocksDB's own threads flush and compact.
 *
 *     trace_rocksdb FOLDER THREADS PUTS    (PUTS by each thread)
 */
#include "../bench/random.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX  16
#define PUTS_MAX     10000000
#define KEYS         20000 /* records that there may be; later puts replace */
#define VALUE_LEAST  50    /* bytes */
#define VALUE_RANGE  700   /* bytes beyond the least */
#define BATCH        8     /* puts in one of the batches that every BATCH_EVERYth put is */
#define BATCH_EVERY  16
#define GET_EVERY    4    /* puts for one read */
#define DELETE_EVERY 32   /* puts for one deletion */
#define SCAN_EVERY   2048 /* puts for one scan */
#define SCAN_RECORDS 100
#define WRITE_BUFFER (1U << 20) /* bytes; small, so that there are many flushes and compactions */
#define BLOCK_CACHE  (2U << 20) /* bytes; less than the data, so that blocks come and go */
#define BACKGROUND   2          /* threads of RocksDB's own */
#define KEY_ROOM     24

static rocksdb_t *database;
static unsigned long puts_each;
static pthread_barrier_t all_there; /* so that no thread is far ahead of the others */

static void must(char *error)
{
    if (error != NULL) {
        fprintf(stderr, "trace_rocksdb: %s\n", error);
        _Exit(1); /* the other threads are at work */
    }
}

static size_t draw_key(uint64_t *random, char key[KEY_ROOM])
{
    return (size_t)snprintf(key, KEY_ROOM, "record:%08u", (unsigned)(random_next(random) % KEYS));
}

static void put_batch(const rocksdb_writeoptions_t *options, uint64_t *random, const char *value)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *error = NULL, key[KEY_ROOM];
    for (unsigned i = 0; i < BATCH; i++) {
        size_t length = draw_key(random, key);
        rocksdb_writebatch_put(batch, key, length, value,
                               VALUE_LEAST + random_next(random) % VALUE_RANGE);
    }
    rocksdb_write(database, options, batch, &error);
    must(error);
    rocksdb_writebatch_destroy(batch);
}

static void scan(const rocksdb_readoptions_t *options, uint64_t *random)
{
    char key[KEY_ROOM];
    size_t length = draw_key(random, key);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(database, options);
    rocksdb_iter_seek(iterator, key, length);
    for (unsigned i = 0; i < SCAN_RECORDS && rocksdb_iter_valid(iterator); i++)
        rocksdb_iter_next(iterator);
    rocksdb_iter_destroy(iterator);
}

static void *fill(void *argument)
{
    uint64_t random = 0x9e3779b97f4a7c15ULL * (uint64_t)(uintptr_t)argument;
    rocksdb_writeoptions_t *writing = rocksdb_writeoptions_create();
    rocksdb_readoptions_t *reading = rocksdb_readoptions_create();
    char key[KEY_ROOM], value[VALUE_LEAST + VALUE_RANGE];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)random_next(&random);
    pthread_barrier_wait(&all_there);
    for (unsigned long i = 1; i <= puts_each; i++) {
        char *error = NULL;
        /* Side by side as on a machine with enough CPUs, however few there are. */
        sched_yield();
        size_t length = draw_key(&random, key);
        rocksdb_put(database, writing, key, length, value,
                    VALUE_LEAST + random_next(&random) % VALUE_RANGE, &error);
        must(error);
        if (i % GET_EVERY == 0) {
            size_t read;
            length = draw_key(&random, key);
            rocksdb_free(rocksdb_get(database, reading, key, length, &read, &error));
            must(error);
        }
        if (i % DELETE_EVERY == 0) {
            length = draw_key(&random, key);
            rocksdb_delete(database, writing, key, length, &error);
            must(error);
        }
        if (i % BATCH_EVERY == 0)
            put_batch(writing, &random, value);
        if (i % SCAN_EVERY == 0)
            scan(reading, &random);
    }
    rocksdb_readoptions_destroy(reading);
    rocksdb_writeoptions_destroy(writing);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long threads = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    puts_each = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (threads == 0 || threads > THREADS_MAX || puts_each == 0 || puts_each > PUTS_MAX) {
        fprintf(stderr,
                "usage: trace_rocksdb FOLDER THREADS PUTS (threads 1 to %d, puts 1 to %d)\n",
                THREADS_MAX, PUTS_MAX);
        return 2;
    }
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(BLOCK_CACHE);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_error_if_exists(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER);
    rocksdb_options_increase_parallelism(options, BACKGROUND);
    rocksdb_options_set_block_based_table_factory(options, table);
    char *error = NULL;
    database = rocksdb_open(options, argv[1], &error);
    must(error);

    pthread_t fillers[THREADS_MAX];
    pthread_barrier_init(&all_there, NULL, (unsigned)threads);
    for (unsigned long i = 0; i < threads; i++)
        if (pthread_create(&fillers[i], NULL, fill, (void *)(uintptr_t)(i + 1)) != 0) {
            fputs("trace_rocksdb: no thread could be created\n", stderr);
            return 1;
        }
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(fillers[i], NULL);

    rocksdb_close(database);
    rocksdb_options_destroy(options);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(table);
    return 0;
}
