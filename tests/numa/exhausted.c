/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A node that runs out: a thread on one node wants more memory than that has,
 * object by object, each written and verified.  Checks from which nodes it comes
 * and in which order, and that all that was borrowed goes home.
 *
 * usage: exhausted [--node N] [--fill] [--stray PERCENT] --order N[,N...] MEGABYTES
 *   --node N     the thread's node (default: the lowest)
 *   --order      the nodes on which the memory must lie, in this order; wrong is
 *                the least that one would have to take away for that to hold
 *   --stray      so much of it may be wrong (default 2): a node is out when the
 *                kernel says so, now and then a little later than when it is
 *   --fill       there is less than MEGABYTES anywhere: malloc must at last
 *                return NULL with ENOMEM, and work again after a part is freed
 */
#include "guest.h"

#include "nearheap.h"

#include <malloc.h>

#define OBJECTS_MAX 200000

static struct guest guest;
static unsigned short seed[3] = {1, 2, 3};
static unsigned char *object[OBJECTS_MAX];
static size_t bytes[OBJECTS_MAX];
static size_t objects;

static size_t random_size(void)
{
    if (nrand48(seed) % 4 == 0)
        return 100000 + (size_t)nrand48(seed) % 1500000;
    return 500 + (size_t)nrand48(seed) % 30000;
}

/* False without memory. */
static bool get(void)
{
    CHECK(objects < OBJECTS_MAX);
    size_t size = random_size();
    errno = 0;
    unsigned char *at = malloc(size);
    if (at == NULL) {
        CHECK(errno == ENOMEM);
        return false;
    }
    memset(at, (int)(objects % 251), size);
    object[objects] = at;
    bytes[objects++] = size;
    return true;
}

static void give(void)
{
    objects--;
    const unsigned char *at = object[objects];
    CHECK(at[0] == objects % 251 && memcmp(at, at + 1, bytes[objects] - 1) == 0);
    free(object[objects]);
}

static uint64_t lent_bytes(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < GUEST_NODES; i++)
        for (int j = 0; j < GUEST_NODES; j++) {
            struct nh_pair_stats pair = {.struct_size = sizeof(pair)};
            if (nh_pair_stats_read(i, j, &pair) == 0)
                sum += pair.lent_bytes;
        }
    return sum;
}

int main(int argc, char **argv)
{
    int order[GUEST_NODES];
    int steps = 0;
    int thread_node = -1;
    size_t wanted = 0;
    bool fill = false;
    unsigned stray = 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fill") == 0) {
            fill = true;
        } else if (strcmp(argv[i], "--stray") == 0) {
            stray = (unsigned)atoi(argv[++i]);
        } else if (strcmp(argv[i], "--node") == 0) {
            thread_node = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--order") == 0) {
            for (char *at = strtok(argv[++i], ","); at != NULL; at = strtok(NULL, ","))
                order[steps++] = atoi(at);
        } else {
            wanted = strtoul(argv[i], NULL, 10) << 20;
        }
    }
    guest_look(&guest);
    int place = 0;
    while (place < guest.nodes - 1 && thread_node != -1 && guest.node[place] != thread_node)
        place++;
    run_on_cpu(guest.cpu[place]);
    printf("%zu MiB wanted on node %d\n", wanted >> 20, guest.node[place]);

    uint64_t on[GUEST_NODES] = {0};
    /* The most bytes of those got so far that lie in order and end on a node of
     * order[0..step]: one stray object then counts once, and not all that comes
     * rightly after it. */
    uint64_t in_order[GUEST_NODES] = {0};
    uint64_t got = 0;
    bool refused = false;
    while (got < wanted && !refused) {
        refused = !get();
        if (refused)
            break;
        size_t size = bytes[objects - 1];
        int node = node_of_page(object[objects - 1] + size / 2);
        CHECK(node >= 0 && node < GUEST_NODES);
        on[node] += size;
        got += size;
        int at = 0;
        while (at < steps && order[at] != node)
            at++;
        if (at < steps)
            in_order[at] += size;
        for (int step = at + 1; step < steps; step++)
            if (in_order[step] < in_order[step - 1])
                in_order[step] = in_order[step - 1];
    }
    uint64_t wrong = got - in_order[steps - 1];
    for (int i = 0; i < GUEST_NODES; i++)
        if (on[i] != 0)
            printf("node %d: %llu MiB\n", i, (unsigned long long)(on[i] >> 20));
    printf("out of order or elsewhere: %llu KiB of %llu MiB; lent among heaps: %llu MiB\n",
           (unsigned long long)(wrong >> 10), (unsigned long long)(got >> 20),
           (unsigned long long)(lent_bytes() >> 20));
    CHECK(refused == fill);
    CHECK(wrong <= got / 100 * stray);
    CHECK(on[order[steps - 1]] != 0);

    if (fill) {
        size_t had = objects;
        for (size_t i = 0; i < had / 2; i++)
            give();
        for (size_t i = 0; i < had / 4; i++)
            CHECK(get());
        printf("refused with ENOMEM after %llu MiB; went on after freeing\n",
               (unsigned long long)(got >> 20));
    }
    while (objects > 0)
        give();
    malloc_trim(0);
    uint64_t lent = lent_bytes();
    printf("after freeing, lent among heaps: %llu bytes\n", (unsigned long long)lent);
    CHECK(lent == 0);
    printf("ok\n");
    return 0;
}
