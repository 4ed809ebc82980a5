/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * nearheap's functions about placement, checked against the kernel's account on
 * a machine with several nodes: threads fixed to a node, interleaved memory,
 * pages for buffer pools, the audit, and moving a heap while threads write.
 */
#include "guest.h"

#include "nearheap.h"

#include <malloc.h>
#include <stdatomic.h>

#define MIB ((size_t)1 << 20)

static struct guest guest;

static double share_of(const void *at, size_t bytes, int node)
{
    struct residence where = {0};
    add_residence(&where, at, bytes);
    return share_on(&where, node);
}

static void *filled(void *at, size_t bytes)
{
    CHECK(at != NULL);
    return memset(at, 0x5a, bytes);
}

static void on_node(void)
{
    for (int i = 0; i < guest.nodes; i++) {
        int node = guest.node[i];
        for (size_t size = 100; size < MIB; size *= 10) {
            char *at = filled(nh_malloc_on_node(size, node), size);
            CHECK(share_of(at, size, node) == 100);
            CHECK(nh_node_of(at) == node);
            free(at);
            at = nh_calloc_on_node(1, size, node);
            CHECK(at != NULL && at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
            free(filled(at, size));
        }
    }
    errno = 0;
    CHECK(nh_malloc_on_node(1, 63) == NULL && errno == EINVAL);
}

static void fixed_thread(void)
{
    run_on_cpu(guest.cpu[0]);
    for (int i = 0; i < guest.nodes; i++) {
        CHECK(nh_set_thread_node(guest.node[i]) == 0);
        CHECK(nh_current_node() == guest.node[i]);
        for (int n = 0; n < 200; n++) {
            char *at = filled(malloc(3000), 3000);
            CHECK(node_of_page(at) == guest.node[i]);
            free(at);
        }
        run_on_cpu(guest.cpu[(i + 1) % guest.nodes]); /* stays fixed */
        char *at = filled(malloc(3000), 3000);
        CHECK(node_of_page(at) == guest.node[i]);
        free(at);
    }
    CHECK(nh_set_thread_node(-1) == 0);
    run_on_cpu(guest.cpu[0]);
    CHECK(nh_current_node() == guest.node[0]);
    errno = 0;
    CHECK(nh_set_thread_node(63) == -1 && errno == EINVAL);
}

static void interleaved(void)
{
    char *at = filled(nh_malloc_interleaved(16 * MIB), 16 * MIB);
    for (int i = 0; i < guest.nodes; i++) {
        double share = share_of(at, 16 * MIB, guest.node[i]);
        printf("interleaved, node %d: %.1f %%\n", guest.node[i], share);
        CHECK(share > 90.0 / guest.nodes && share < 110.0 / guest.nodes);
    }
    errno = 0;
    CHECK(nh_node_of(at) == -1 && errno == ENODATA);
    free(at);
}

static void pages(void)
{
    for (int i = 0; i < guest.nodes; i++) {
        size_t bytes = 300 * NH_PAGE_BYTES;
        char *at = filled(nh_pages_alloc(300, guest.node[i]), bytes);
        CHECK((uintptr_t)at % NH_PAGE_BYTES == 0);
        CHECK(share_of(at, bytes, guest.node[i]) == 100);
        nh_pages_free(at);
    }
    nh_pages_free(NULL);
    errno = 0;
    CHECK(nh_pages_alloc(0, -1) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(nh_pages_alloc(SIZE_MAX / 2, -1) == NULL && errno == ENOMEM);
}

static struct nh_placement audit(int node, size_t samples)
{
    struct nh_placement found = {.struct_size = sizeof(found)};
    CHECK(nh_placement_audit(node, samples, &found) == 0);
    return found;
}

static void audited(void)
{
    char *here = filled(nh_malloc_on_node(20 * MIB, guest.node[0]), 20 * MIB);
    char *there = filled(nh_malloc_on_node(10 * MIB, guest.node[1]), 10 * MIB);
    char *untouched = nh_malloc_on_node(8 * MIB, guest.node[1]);
    CHECK(untouched != NULL);
    struct nh_placement found = audit(-1, 0);
    printf("audit: right %llu KiB, wrong %llu KiB, absent %llu KiB\n",
           (unsigned long long)found.right_bytes >> 10, (unsigned long long)found.wrong_bytes >> 10,
           (unsigned long long)found.absent_bytes >> 10);
    CHECK(found.right_bytes >= 30 * MIB && found.wrong_bytes <= found.right_bytes / 1000);
    CHECK(found.absent_bytes >= 8 * MIB);
    struct nh_placement sample = audit(-1, 500);
    uint64_t pages = (sample.right_bytes + sample.wrong_bytes + sample.absent_bytes) / GUEST_PAGE;
    CHECK(pages >= 400 && pages <= 1100);
    /* What the kernel moves behind nearheap's back is found. */
    uint64_t right = audit(guest.node[0], 0).right_bytes;
    for (size_t i = 0; i < 4 * MIB; i += GUEST_PAGE) {
        void *page = here + i;
        int status, to = guest.node[1];
        CHECK(syscall(SYS_move_pages, 0, 1UL, &page, &to, &status, MPOL_MF_MOVE) == 0);
        CHECK(status == to);
    }
    found = audit(guest.node[0], 0);
    CHECK(found.wrong_bytes == 4 * MIB && found.right_bytes == right - 4 * MIB);
    free(here);
    free(there);
    free(untouched);
    struct nh_placement none = {.struct_size = sizeof(none)};
    errno = 0;
    CHECK(nh_placement_audit(63, 0, &none) == -1 && errno == EINVAL);
}

/* ---- migration, while threads allocate and write ---- */

#define OBJECTS 500

static _Atomic bool stop;

static void *churn(void *arg)
{
    int place = *(int *)arg;
    unsigned char *object[OBJECTS] = {NULL};
    size_t bytes[OBJECTS] = {0};
    unsigned short seed[3] = {7, 8, (unsigned short)place};
    run_on_cpu(guest.cpu[place]);
    while (!atomic_load(&stop)) {
        size_t i = (size_t)nrand48(seed) % OBJECTS;
        if (object[i] != NULL) {
            CHECK(object[i][0] == i % 251 && memcmp(object[i], object[i] + 1, bytes[i] - 1) == 0);
            free(object[i]);
        }
        bytes[i] = 100 + (size_t)nrand48(seed) % 40000;
        object[i] = malloc(bytes[i]);
        CHECK(object[i] != NULL);
        memset(object[i], (int)(i % 251), bytes[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        free(object[i]);
    return NULL;
}

static void migrated(void)
{
    int from = guest.node[0], to = guest.node[guest.nodes - 1];
    char *kept = filled(nh_malloc_on_node(24 * MIB, from), 24 * MIB);
    pthread_t thread[2];
    int place[2] = {0, 1};
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&thread[i], NULL, churn, &place[i]) == 0);
    struct nh_migration done = {.struct_size = sizeof(done)};
    CHECK(nh_migrate_heap(from, to, &done) == 0);
    printf("migrated %llu KiB from node %d to node %d, failed %llu KiB\n",
           (unsigned long long)done.moved_bytes >> 10, from, to,
           (unsigned long long)done.failed_bytes >> 10);
    CHECK(done.moved_bytes >= 24 * MIB && done.failed_bytes <= done.moved_bytes / 100);
    CHECK(share_of(kept, 24 * MIB, to) == 100);
    CHECK(nh_node_of(kept) == to);
    for (size_t i = 1; i < 24 * MIB; i++)
        CHECK(kept[i] == 0x5a);
    /* What comes later, too. */
    char *later = filled(nh_malloc_on_node(40 * MIB, from), 40 * MIB);
    CHECK(share_of(later, 40 * MIB, to) > 95);
    free(later);
    CHECK(nh_migrate_heap(from, from, &done) == 0);
    CHECK(share_of(kept, 24 * MIB, from) == 100);
    CHECK(nh_node_of(kept) == from);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    free(kept);
    errno = 0;
    CHECK(nh_migrate_heap(from, 63, NULL) == -1 && errno == EINVAL);
}

static void *free_all(void *arg)
{
    void **object = arg;
    run_on_cpu(guest.cpu[1]);
    for (int i = 0; i < 1000; i++)
        free(object[i]);
    return NULL;
}

static uint64_t pair_frees(int home, int other)
{
    struct nh_pair_stats pair = {.struct_size = sizeof(pair)};
    CHECK(nh_pair_stats_read(home, other, &pair) == 0);
    return pair.frees;
}

static void counted(void)
{
    static void *object[1000];
    run_on_cpu(guest.cpu[0]);
    for (int i = 0; i < 1000; i++)
        CHECK((object[i] = malloc((size_t)(1 + i % 2 * 80000))) != NULL);
    uint64_t before = pair_frees(guest.node[0], guest.node[1]);
    uint64_t other = pair_frees(guest.node[1], guest.node[0]);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_all, object) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pair_frees(guest.node[0], guest.node[1]) == before + 1000);
    CHECK(pair_frees(guest.node[1], guest.node[0]) == other);
}

int main(void)
{
    guest_look(&guest);
    if (guest.nodes < 2) {
        printf("skipped: one node with CPUs\n");
        return 77;
    }
    CHECK(nh_node_count() == guest.nodes);
    on_node();
    fixed_thread();
    interleaved();
    pages();
    audited();
    counted();
    migrated();
    printf("ok\n");
    return 0;
}
