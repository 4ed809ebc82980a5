/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topology.c - boot, publication, and the parts that need no library.
 */
#include "numa/topology.h"

#include "log.h"
#include "numa/kernel_nodes.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Two are enough: what boot knows, and what hwloc adds.  Untouched parts of
 * them use no memory. */
static struct topology at_boot, discovered;
NH_TOGETHER _Atomic(const struct topology *) topology_published;
NH_TOGETHER _Atomic uint32_t topology_change_count;
static NH_TOGETHER _Atomic bool discovering;

void topology_count_change(void)
{
    atomic_fetch_add_explicit(&topology_change_count, 1, memory_order_release);
}

unsigned topology_slot_of_node(const struct topology *topology, size_t node)
{
    unsigned slot = 0;
    while (slot < topology->slots && (size_t)topology->os_node[slot] != node)
        slot++;
    return slot;
}

/* ---- Parsing ---- */

int topology_parse_list(const char *text, int most, int *numbers, int room)
{
    int found = 0;
    int least = 0;
    for (;;) {
        int range[2];
        for (int end = 0; end < 2; end++) {
            int n = 0;
            const char *digits = text;
            for (; *text >= '0' && *text <= '9'; text++)
                if (n < most)
                    n = n * 10 + (*text - '0');
            if (text == digits)
                return -1;
            range[end] = n;
            if (end == 0 && *text != '-') {
                range[1] = n;
                break;
            }
            text += end == 0;
        }
        if (range[0] < least || range[1] < range[0])
            return -1;
        for (int n = range[0]; n <= range[1] && n < most; n++, found++)
            if (found < room)
                numbers[found] = n;
        least = range[1] + 1;
        if (*text == '\0' || *text == '\n')
            return found;
        if (*text++ != ',')
            return -1;
    }
}

static bool is_numa(const char *type, size_t length)
{
    return (length == 4 && strncasecmp(type, "numa", 4) == 0) ||
           (length == 8 && strncasecmp(type, "numanode", 8) == 0) ||
           (length == 4 && strncasecmp(type, "node", 4) == 0);
}

/* Whether no object is given a number beyond all processors: hwloc's sets are as long as the
 * largest. */
static bool indexes_fit(const char *at)
{
    static const char indexes[] = "indexes=";
    while ((at = strstr(at, indexes)) != NULL) {
        at += strlen(indexes);
        for (unsigned long n = 0; *at != '\0' && *at != ')' && *at != ' '; at++) {
            n = *at >= '0' && *at <= '9' ? n * 10 + (unsigned long)(*at - '0') : 0;
            if (n >= NH_CPUS_MAX)
                return false;
        }
    }
    return true;
}

/* Levels are "type:count", outermost first, each perhaps with attributes in
 * parentheses; memory attached to a level is in brackets after it. */
unsigned topology_synthetic_nodes(const char *at)
{
    if (!indexes_fit(at))
        return 0;
    unsigned long product = 1;
    unsigned long nodes = 0;
    while (*at != '\0') {
        if (*at == ' ') {
            at++;
        } else if (*at == '(') {
            at += strcspn(at, ")");
            at += *at == ')';
        } else if (*at == '[') {
            const char *type = ++at;
            at += strcspn(at, "]( ");
            if (is_numa(type, (size_t)(at - type)))
                nodes += product;
            at += strcspn(at, "]");
            at += *at == ']';
        } else {
            /* What begins with a digit is a count without a type for hwloc, which reads on behind
             * it. */
            const char *type = at;
            at += strcspn(at, ":([ ");
            if (*at != ':' || (*type >= '0' && *type <= '9'))
                return 0;
            bool numa = is_numa(type, (size_t)(at - type));
            unsigned long count = 0;
            for (at++; *at >= '0' && *at <= '9'; at++)
                if (count <= NH_CPUS_MAX)
                    count = count * 10 + (unsigned long)(*at - '0');
            if (count == 0 || count > NH_CPUS_MAX || product * count > NH_CPUS_MAX)
                return 0;
            product *= count;
            if (numa)
                nodes += product;
        }
        if (nodes > NH_NODES_MAX)
            return 0;
    }
    return (unsigned)nodes;
}

/* The description in `spec`; NULL for the machine.  *known is false for a spec
 * that is neither. */
static const char *description_of(const char *spec, bool *known)
{
    size_t prefix = strlen(TOPOLOGY_SYNTHETIC_PREFIX);
    *known = true;
    if (spec == NULL || *spec == '\0')
        return NULL;
    if (strncmp(spec, TOPOLOGY_SYNTHETIC_PREFIX, prefix) == 0 &&
        topology_synthetic_nodes(spec + prefix) != 0)
        return spec + prefix;
    *known = false;
    return NULL;
}

bool topology_spec_is_sound(const char *spec, struct text *problem)
{
    bool known;
    (void)description_of(spec, &known);
    if (!known)
        text_add(problem,
                 "NEARHEAP_TOPOLOGY=%s is not \"synthetic:\" and an hwloc synthetic description "
                 "with 1 to %d NUMA nodes and at most %d processors",
                 spec, NH_NODES_MAX, NH_CPUS_MAX);
    return known;
}

static void check(const char *spec)
{
    char buffer[NH_LINE_MAX];
    struct text problem = {.at = buffer, .room = sizeof buffer};
    if (!topology_spec_is_sound(spec, &problem))
        log_line(LOG_ERROR, "%s; using the machine's own", buffer);
}

/* ---- Order ---- */

void topology_sort_nearest(struct topology *topology)
{
    unsigned n = topology->slots;
    for (unsigned from = 0; from < n; from++) {
        uint8_t *order = topology->nearest[from];
        const uint16_t *distance = topology->distance[from];
        /* Insertion sort, which is stable, from the order of going around. */
        order[0] = (uint8_t)from;
        for (unsigned i = 1; i < n; i++) {
            uint8_t slot = (uint8_t)((from + i) % n);
            unsigned place = i;
            for (; place > 1 && distance[order[place - 1]] > distance[slot]; place--)
                order[place] = order[place - 1];
            order[place] = slot;
        }
    }
}

static void all_equally_far(struct topology *topology)
{
    for (unsigned i = 0; i < topology->slots; i++)
        for (unsigned j = 0; j < topology->slots; j++)
            topology->distance[i][j] = i == j ? TOPOLOGY_LOCAL : TOPOLOGY_UNKNOWN;
    topology_sort_nearest(topology);
}

/* ---- Boot and discovery ---- */

void topology_boot(const char *spec)
{
    if (topology_now() != NULL)
        return;
    bool known;
    const char *description = description_of(spec, &known);
    check(spec);
    if (description != NULL) {
        at_boot.synthetic = true;
        at_boot.slots = topology_synthetic_nodes(description);
        for (unsigned slot = 0; slot < at_boot.slots; slot++)
            at_boot.os_node[slot] = (int)slot;
    } else {
        int found = kernel_nodes(at_boot.os_node, NH_NODES_MAX);
        at_boot.slots = (unsigned)(found < NH_NODES_MAX ? found : NH_NODES_MAX);
    }
    if (at_boot.slots > 1 && !at_boot.synthetic)
        memset(at_boot.slot_of_cpu, TOPOLOGY_SLOT_UNKNOWN, sizeof(at_boot.slot_of_cpu));
    all_equally_far(&at_boot);
    atomic_store_explicit(&topology_published, &at_boot, memory_order_release);
}

bool topology_discover(const char *spec)
{
    if (atomic_exchange_explicit(&discovering, true, memory_order_acq_rel))
        return topology_now()->discovered;
    bool known;
    const char *description = description_of(spec, &known);
    struct topology *out = &discovered;
    out->slots = at_boot.slots;
    out->synthetic = at_boot.synthetic;
    memcpy(out->os_node, at_boot.os_node, sizeof(out->os_node));
    memset(out->slot_of_cpu, TOPOLOGY_SLOT_UNKNOWN, sizeof(out->slot_of_cpu));
    if (out->synthetic)
        out->cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    all_equally_far(out);
    if (!topology_ask_hwloc(description, out))
        return false;
    topology_sort_nearest(out);
    out->discovered = true;
    atomic_store_explicit(&topology_published, out, memory_order_release);
    topology_count_change();
    return true;
}
