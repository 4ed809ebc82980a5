/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limits.c - what a program meets that grows until there is no more: NULL and ENOMEM,
 * never a signal; what it has is whole; and what it frees can be had again, in the same
 * sizes and in all others, by other threads and on other nodes.
 *
 * Each case grows until malloc refuses, verifies, frees all, and grows again.  They follow
 * each other in one process, so that each finds what the ones before left behind: free
 * pages, spans of other classes, caches and heaps of other nodes.
 *
 * usage: limits as|data MEGABYTES        sets this limit: RLIMIT_AS, RLIMIT_DATA
 *        limits maps|maps_early MEGABYTES  the first, and the process has as many mappings
 *                                        as it may, after it grew so far or before
 *        limits NAME MEGABYTES           somebody else has set one, of about so much
 *        limits --brief NAME MEGABYTES   the same, but of small and large objects only
 *        limits --holes NAME MEGABYTES   there is no limit but the machine's memory, or a
 *                                        control group's
 */
#include "../server/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Each window of addresses in which there is an object has a leaf of the span table, a pointer
 * and a word for each page, and none of it is left for objects. */
#define WINDOW_SHIFT 32
#define WINDOWS      ((size_t)1 << 16)
#ifndef NH_TEST_GLIBC
#include "nearheap.h"
#define LEAF_BYTES (((size_t)1 << WINDOW_SHIFT) / NH_PAGE_BYTES * 12)
#else /* which has one node, and no such table */
#define LEAF_BYTES ((size_t)0)
static int nh_node_count(void)
{
    return 1;
}

static int nh_set_thread_node(int node)
{
    return node > 0 ? -1 : 0;
}
#endif

#define MIB        ((size_t)1 << 20)
#define THREADS    8
#define STEP       512 /* one byte in so many is written */
#define AGAIN      90  /* percent of the first time, at least, the second time */
#define MAPS_MOST  70000
#define NODES_MOST 1024
#define STACK_SIZE ((size_t)64 << 10)

struct object {
    struct object *next;
    size_t size;
    unsigned char bytes[];
};

/* Of a limit that this program sets, percent that a case must get with what its addresses need
 * of the span table: some less than it does, which is 89 to 99 of small, 93 to 103 of large and
 * 91 to 97 of mixed objects (leaves may be older than the limit), and 50 to 58 of those that
 * are aligned, which leave half of it between them. */
#define OF_SMALL   86
#define OF_LARGE   88
#define OF_MIXED   85
#define OF_ALIGNED 46
/* Of one that somebody else has set, for more than this, and by estimate. */
#define OF_OTHERS    33
#define AGAIN_OTHERS 80

struct kind {
    const char *name;
    size_t least, most; /* size of an object */
    size_t alignment;   /* or 0 */
    unsigned of_limit;  /* percent */
};

static const struct kind small = {"small", 32, 500, 0, OF_SMALL};
static const struct kind large = {"large", 70000, 3000000, 0, OF_LARGE};
static const struct kind mixed = {"mixed", 32, 60000, 0, OF_MIXED};
static const struct kind aligned = {"aligned", 64, 30000, 4096, OF_ALIGNED};

static const char *limit_name;
static size_t limit_bytes;
static bool own_limit; /* this program has set it */
static _Atomic bool has_leaf[WINDOWS];
static _Atomic size_t leaves;
static unsigned refusals; /* of the case; the main thread counts */
static bool failed;

/* ---- Growing ---- */

static unsigned char byte_of(const struct object *object, size_t i)
{
    return (unsigned char)(((uintptr_t)object >> 4) + object->size + i);
}

static void write_object(struct object *object)
{
    size_t bytes = object->size - sizeof(*object);
    for (size_t i = 0; i < bytes; i += STEP)
        object->bytes[i] = byte_of(object, i);
    object->bytes[bytes - 1] = byte_of(object, bytes - 1);
}

static void verify_object(const struct object *object)
{
    size_t bytes = object->size - sizeof(*object);
    for (size_t i = 0; i < bytes - 1; i += STEP)
        CHECK(object->bytes[i] == byte_of(object, i));
    CHECK(object->bytes[bytes - 1] == byte_of(object, bytes - 1));
}

static void count_leaf(const void *at)
{
    _Atomic bool *has = &has_leaf[((uintptr_t)at >> WINDOW_SHIFT) % WINDOWS];
    if (!atomic_load_explicit(has, memory_order_relaxed) && !atomic_exchange(has, true))
        atomic_fetch_add(&leaves, 1);
}

static size_t table_bytes(void)
{
    return own_limit ? atomic_load(&leaves) * LEAF_BYTES : 0;
}

static struct object *get(const struct kind *kind, uint32_t *random)
{
    size_t size = kind->least + random_next32(random) % (kind->most - kind->least + 1);
    errno = 0;
    struct object *object = NULL;
    if (kind->alignment == 0) {
        object = malloc(size);
        CHECK(object != NULL || errno == ENOMEM);
    } else {
        size_t alignment = kind->alignment << random_next32(random) % 6;
        void *out = &errno; /* anything that is not NULL */
        int error = posix_memalign(&out, alignment, size);
        CHECK(error == 0 || (error == ENOMEM && out == &errno));
        object = error == 0 ? out : NULL;
        CHECK((uintptr_t)object % alignment == 0);
    }
    if (object != NULL) {
        object->size = size;
        write_object(object);
        count_leaf(object);
        count_leaf(&object->bytes[size - sizeof(*object) - 1]);
    }
    return object;
}

/* All there is; its bytes. */
static size_t grow(const struct kind *kind, uint32_t seed, struct object **all)
{
    size_t sum = 0;
    *all = NULL;
    for (struct object *object; (object = get(kind, &seed)) != NULL; *all = object) {
        object->next = *all;
        sum += object->size;
    }
    return sum;
}

/* Nothing is left, and no call makes anything worse. */
static void check_refusals(void)
{
    static const size_t too_much = (size_t)1 << 40;
    void *out = &out;
    errno = 0;
    CHECK(calloc(8, too_much) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(realloc(NULL, too_much) == NULL && errno == ENOMEM);
    CHECK(posix_memalign(&out, 4096, too_much) == ENOMEM && out == &out);
    refusals++;
}

/* To have less needs no memory: glibc never refuses it. */
static struct object *shrink(struct object *object)
{
    size_t size = object->size / 3;
    if (size <= sizeof(*object))
        return object;
    verify_object(object);
    object = realloc(object, size);
    CHECK(object != NULL);
    object->size = size;
    write_object(object);
    return object;
}

static void free_all(struct object *all)
{
    while (all != NULL) {
        struct object *object = all;
        verify_object(object);
        all = object->next;
        free(object);
    }
}

/* The same, and when one is refused those of half the size are asked for, down to the least:
 * what another heap gives back of its addresses is in pieces (README.md, limits). */
static size_t grow_in_pieces(const struct kind *kind, uint32_t seed, struct object **all)
{
    struct kind pieces = *kind;
    size_t sum = grow(&pieces, seed, all);
    while (pieces.most > pieces.least) {
        pieces.most = pieces.most / 2 > pieces.least ? pieces.most / 2 : pieces.least;
        struct object *more, *last;
        sum += grow(&pieces, seed, &more);
        if (more == NULL)
            continue;
        for (last = more; last->next != NULL; last = last->next)
            ;
        last->next = *all;
        *all = more;
    }
    return sum;
}

typedef size_t grow_fn(const struct kind *kind, uint32_t seed, struct object **all);

/* What all that there is needs, with the table. */
static size_t grow_and_free_by(grow_fn *grows, const struct kind *kind)
{
    struct object *all;
    size_t sum = grows(kind, 7, &all) + table_bytes();
    check_refusals();
    if (all != NULL)
        all = shrink(all);
    free_all(all);
    return sum;
}

static size_t grow_and_free(const struct kind *kind)
{
    return grow_and_free_by(grow, kind);
}

/* ---- Rows of the table ---- */

static void row(const char *name, const struct kind *kind, size_t first, size_t again)
{
    unsigned of_limit = own_limit ? kind->of_limit : OF_OTHERS;
    bool good = first >= limit_bytes / 100 * of_limit &&
                again >= first / 100 * (own_limit ? AGAIN : AGAIN_OTHERS);
#ifdef NH_TEST_GLIBC
    good = true; /* which keeps what threads and other sizes had */
#endif
    printf("%-16s %5d %-22s %8zu %8u %8zu%s\n", limit_name, nh_node_count(), name, first / MIB,
           refusals, again / MIB, good ? "" : "  TOO LITTLE");
    fflush(stdout);
    CHECK(refusals != 0);
    failed |= !good;
    refusals = 0;
}

static void case_by(grow_fn *grows, const struct kind *kind)
{
    size_t first = grow_and_free_by(grows, kind);
    row(kind->name, kind, first, grow_and_free_by(grows, kind));
}

static void case_of(const struct kind *kind)
{
    case_by(grow, kind);
}

/* ---- Threads: all grow at a time, and while all have what they got, free it ---- */

static pthread_barrier_t step;

struct worker {
    pthread_t id;
    uint32_t seed;
    size_t sum[2];
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (int round = 0; round < 2; round++) {
        struct object *all;
        pthread_barrier_wait(&step);
        worker->sum[round] = grow(&mixed, worker->seed, &all);
        pthread_barrier_wait(&step);
        free_all(all);
    }
    pthread_barrier_wait(&step); /* stays, with what it has cached, */
    pthread_barrier_wait(&step); /* until others have grown */
    return NULL;
}

static struct worker workers[THREADS];

/* Before the limit, which has no room for stacks. */
static void start_threads(void)
{
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0);
    CHECK(pthread_barrier_init(&step, NULL, THREADS + 1) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = i + 1;
        CHECK(pthread_create(&workers[i].id, &attributes, work, &workers[i]) == 0);
    }
}

static void case_threads(void)
{
    size_t sum[2] = {0};
    for (int round = 0; round < 2; round++) {
        pthread_barrier_wait(&step);
        pthread_barrier_wait(&step);
        sum[round] = table_bytes();
        for (unsigned i = 0; i < THREADS; i++)
            sum[round] += workers[i].sum[round];
    }
    pthread_barrier_wait(&step);
    refusals = 2 * THREADS; /* each ended by one, twice */
    row("threads", &mixed, sum[0], sum[1]);
    /* They are alive, and have allocated nothing since they freed. */
    size_t first = grow_and_free(&mixed);
    row("idle threads' caches", &mixed, sum[0], first);
    pthread_barrier_wait(&step);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i].id, NULL) == 0);
}

/* ---- Nodes: what one had and freed, another gets ---- */

static void case_nodes(void)
{
    if (nh_node_count() < 2)
        return;
    size_t first = 0;
    int seen = 0;
    for (int node = 0; node < NODES_MOST; node++) {
        if (nh_set_thread_node(node) != 0)
            continue;
        size_t sum =
            seen % 2 == 0 ? grow_and_free(&small) : grow_and_free_by(grow_in_pieces, &large);
        if (seen == 0)
            first = sum;
        else
            row(seen % 2 == 0 ? "other node, small" : "other node, large", &small, first, sum);
        seen++;
    }
    CHECK(seen == nh_node_count());
    CHECK(nh_set_thread_node(-1) == 0);
}

/* ---- Limits that this program sets ---- */

/* So much more than the process has of it now, address space or private memory. */
static void set_limit(__rlimit_resource_t resource)
{
    unsigned long size, data;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu %*u %*u %*u %*u %lu", &size, &data) == 2);
    fclose(file);
    unsigned long pages = resource == RLIMIT_AS ? size : data;
    struct rlimit limit;
    CHECK(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + limit_bytes;
    CHECK(setrlimit(resource, &limit) == 0);
    own_limit = true;
}

/* Every mapping that the process may have: each second page has other rights.  The kernel
 * refuses to map anything then, and to unmap from the midst of a mapping; the heap may only make
 * one longer that it has. */
static void case_maps(bool early)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *area =
        mmap(NULL, MAPS_MOST * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(area != MAP_FAILED);
    set_limit(RLIMIT_AS);
    free(malloc(1)); /* one heap there must be */
    size_t before = early ? 0 : grow_and_free(&mixed);
    refusals = 0;
    bool refused = false;
    for (size_t i = 0; i < MAPS_MOST && !refused; i += 2)
        refused = mprotect(area + i * page, page, PROT_READ) != 0;
    if (!refused) {
        puts("skipped: more mappings are allowed than the test wants to make");
        exit(SKIPPED);
    }
    case_of(&small);
    /* The addresses that there are belong to several heaps, or metadata lies between them: the
     * first that is refused says how long a piece was, not how much there is. */
    case_by(grow_in_pieces, &large);
    case_of(&aligned);
    case_of(&mixed);
    case_nodes();
    CHECK(munmap(area, MAPS_MOST * page) == 0);
    size_t again = grow_and_free(&mixed);
    row("mappings again", &mixed, early ? again : before, again);
}

/* ---- Free memory of the process, where growing would be the end of it ---- */

/* Two thirds in large objects; every second is freed, and the same memory is wanted in
 * objects that fit into none of the holes. */
static void case_holes(void)
{
    static const struct kind kind = {"holes", 100000, 100000, 0, 0};
    static const struct kind larger = {"larger", 1000000, 1000000, 0, 0};
    uint32_t random = 1;
    size_t sum = 0, freed = 0, again = 0;
    struct object *kept = NULL, *all = NULL;
    while (sum < limit_bytes / 3 * 2) {
        struct object *object = get(&kind, &random);
        CHECK(object != NULL);
        object->next = all;
        all = object;
        sum += object->size;
    }
    for (bool keep = false; all != NULL; keep = !keep) {
        struct object *object = all;
        all = object->next;
        if (keep) {
            object->next = kept;
            kept = object;
        } else {
            freed += object->size;
            free(object);
        }
    }
    while (again < freed) {
        struct object *object = get(&larger, &random);
        CHECK(object != NULL);
        object->next = all;
        all = object;
        again += object->size;
    }
    free_all(all);
    free_all(kept);
    printf("%-16s %5d %-22s %8zu %8s %8zu\n", limit_name, nh_node_count(), "free memory in holes",
           sum / MIB, "none", again / MIB);
}

/* Every second of large objects is freed: together these are room for one that is longer than
 * each, on the last node if there are several. */
static void case_pieces(void)
{
    enum { PIECES = 16, TIMES = 3 };
    void *piece[PIECES];
    size_t bytes = limit_bytes / PIECES, count = 0;
    int node = 0; /* their numbers may have gaps */
    while (nh_set_thread_node(node) != 0)
        node++;
    while (count < PIECES && (piece[count] = malloc(bytes)) != NULL)
        memset(piece[count], (int)count, bytes), count++;
    CHECK(count > 2 * TIMES);
    for (size_t i = 0; i < count; i += 2)
        free(piece[i]);
    while (++node < NODES_MOST)
        (void)nh_set_thread_node(node);
    char *whole = malloc(TIMES * bytes);
    CHECK(whole != NULL);
    memset(whole, PIECES, TIMES * bytes);
    for (size_t i = 1; i < count; i += 2) {
        for (size_t k = 0; k < bytes; k++)
            CHECK(((char *)piece[i])[k] == (char)i);
        free(piece[i]);
    }
    free(whole);
    CHECK(nh_set_thread_node(-1) == 0);
    refusals = 0;
    printf("%-16s %5d %-22s %8zu %8s %8zu\n", limit_name, nh_node_count(), "one of the pieces",
           count * bytes / MIB, "none", TIMES * bytes / MIB);
}

int main(int argc, char **argv)
{
    bool holes = argc == 4 && strcmp(argv[1], "--holes") == 0;
    bool brief = argc == 4 && strcmp(argv[1], "--brief") == 0;
    CHECK(argc == 3 + (holes || brief));
    limit_name = argv[argc - 2];
    limit_bytes = (size_t)strtoul(argv[argc - 1], NULL, 10) * MIB;
    if (holes) {
        case_holes();
        return 0;
    }
    if (strcmp(limit_name, "maps") == 0 || strcmp(limit_name, "maps_early") == 0) {
        case_maps(strcmp(limit_name, "maps_early") == 0);
        return failed;
    }
    if (brief) {
        case_of(&small);
        case_of(&large);
        return failed;
    }
    start_threads();
    if (strcmp(limit_name, "as") == 0)
        set_limit(RLIMIT_AS);
    else if (strcmp(limit_name, "data") == 0)
        set_limit(RLIMIT_DATA);
    case_pieces();
    case_of(&small);
    case_of(&large);
    case_threads();
    case_of(&mixed);
    case_nodes();
    case_of(&small);
    case_of(&aligned); /* last: README, limits */
    return failed;
}
