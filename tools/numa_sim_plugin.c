/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * numa_sim_plugin.c - a QEMU TCG plugin that counts how far memory is: the
 * misses of a modelled cache, by the node of the CPU and the node of the memory.
 *
 * The model:
 *  - Each vCPU has one set-associative cache of physical lines, replaced least
 *    recently used first (default 1 MiB, 16 ways, lines of 64 bytes).
 *  - A store makes every other vCPU's copy of the line stale; the next access
 *    there is a miss.  A store to a line that the vCPU has is a hit, shared or not.
 *  - A miss costs the distance between the vCPU's node and the memory's home
 *    node, over 10, also where a real machine would fetch the line from another
 *    CPU's cache.  There is no prefetching, no bandwidth and no queueing.
 *  - Loads and stores of user-mode instructions count, between the markers of
 *    numa_sim.h; instruction fetches and the kernel's accesses do not, and do not
 *    disturb the caches.  A marker starts and stops all vCPUs, whichever process
 *    they run.  Caches are empty at the first start; nothing is simulated in between.
 *  - An access belongs to its first byte's line.
 *
 * Arguments: out=FILE nodes=N mem=MB:MB.. cpus=C:C.. distances=D:D.. (N x N, row
 * by row) cache=KIB line=BYTES ways=N only=CPU:CPU.. (the others are simulated too,
 * but not in the sum).  FILE is written at QEMU's exit; the first
 * object in it, on a line of its own, is the sum.
 *
 * Threads: QEMU calls the callbacks on the thread of the vCPU they are about.
 * A struct cpu belongs to its thread; only the line table and `counting` are
 * shared, and they are atomic.
 */
#include "numa_sim.h"
#include "qemu_plugin_v1.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 64
#define CPUS_MAX  256

/* A line's word in the table: how often its sole writer changed, that writer,
 * and whether another vCPU has fetched it since the last store.  A copy is fresh
 * while the version is the one it was fetched at.  It wraps after 8 million
 * changes: a copy that slept through exactly that many would seem fresh. */
#define LINE_SHARED       1U
#define LINE_WRITER_SHIFT 1U
#define LINE_WRITER       0x1feU
#define LINE_VERSION      0x200U /* one */
#define LINE_VERSIONS     (~(LINE_VERSION - 1U))

struct way {
    uint32_t line; /* plus 1; 0: empty */
    uint32_t version;
};

struct cpu {
    struct way *ways; /* a set's ways stand together, most recently used first */
    uint64_t loads, stores, misses[NODES_MAX];
    uint64_t given_local, given_remote; /* misses between numa_sim_given and numa_sim_own */
    bool given;
    unsigned node;
    bool left_out;    /* of the sum */
    int checked_node; /* the next access must be to this node; -1: no check due */
} __attribute__((aligned(128)));

int qemu_plugin_version = 1;

static struct cpu cpus[CPUS_MAX];
static unsigned cpu_count, node_count = 1;
static uint64_t node_bytes[NODES_MAX], node_first_line[NODES_MAX];
static unsigned node_cpus[NODES_MAX], distances[NODES_MAX * NODES_MAX];
static _Atomic uint32_t *line_table;
static uint64_t line_count;
static unsigned cache_kib = 1024, line_bytes = 64, way_count = 16;
static unsigned line_shift, set_mask;
static const char *out_path;
static atomic_bool counting;
static _Atomic uint64_t starts, checks, wrong_checks, unknown_accesses;

/* QEMU gives a RAM block's offset among the blocks plus its offset in the
 * machine's memory plus the offset within it.  Nodes' blocks come first and in
 * order, so the sum of the nodes before counts twice.  numa_sim_run.c's checks
 * see whether that holds. */
static int node_of(uint64_t address, uint64_t *within)
{
    uint64_t before = 0;
    for (unsigned node = 0; node < node_count; node++) {
        if (address >= 2 * before && address - 2 * before < node_bytes[node]) {
            *within = address - 2 * before;
            return (int)node;
        }
        before += node_bytes[node];
    }
    return -1;
}

/* A fetch of the line by a vCPU: says that it is shared, if it is another's. */
static uint32_t version_fetched(_Atomic uint32_t *word, unsigned vcpu)
{
    uint32_t old = atomic_load_explicit(word, memory_order_relaxed);
    if ((old & LINE_WRITER) >> LINE_WRITER_SHIFT != vcpu && !(old & LINE_SHARED))
        old = atomic_fetch_or_explicit(word, LINE_SHARED, memory_order_relaxed);
    return old & LINE_VERSIONS;
}

/* A store by a vCPU: from here on the copies of all others are stale. */
static uint32_t version_stored(_Atomic uint32_t *word, unsigned vcpu)
{
    uint32_t old = atomic_load_explicit(word, memory_order_relaxed), new;
    do {
        if ((old & LINE_WRITER) >> LINE_WRITER_SHIFT == vcpu && !(old & LINE_SHARED))
            return old & LINE_VERSIONS;
        new = ((old & LINE_VERSIONS) + LINE_VERSION) | vcpu << LINE_WRITER_SHIFT;
    } while (!atomic_compare_exchange_weak_explicit(word, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
    return new &LINE_VERSIONS;
}

/* Whether the vCPU had a fresh copy of the line; it has one now. */
static bool cache_access(struct cpu *cpu, unsigned vcpu, uint64_t line, bool store)
{
    _Atomic uint32_t *word = &line_table[line];
    struct way *set = &cpu->ways[(line & set_mask) * way_count];
    uint32_t tag = (uint32_t)line + 1;
    unsigned at = 0;

    while (at < way_count - 1 && set[at].line != tag)
        at++;
    bool hit =
        set[at].line == tag &&
        set[at].version == (atomic_load_explicit(word, memory_order_relaxed) & LINE_VERSIONS);
    if (at)
        memmove(set + 1, set, at * sizeof *set);
    set[0].line = tag;
    if (store)
        set[0].version = version_stored(word, vcpu);
    else
        set[0].version = version_fetched(word, vcpu);
    return hit;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    struct cpu *cpu = &cpus[vcpu];
    uint64_t within;

    (void)data;
    if (!atomic_load_explicit(&counting, memory_order_relaxed) && cpu->checked_node < 0)
        return;
    /* The processor's own, of tables of the kernel's, in the midst of an instruction. */
    if (vaddr >> 63)
        return;
    struct qemu_plugin_hwaddr *address = qemu_plugin_get_hwaddr(info, vaddr);
    if (!address || qemu_plugin_hwaddr_is_io(address))
        return;
    int node = node_of(qemu_plugin_hwaddr_phys_addr(address), &within);
    if (cpu->checked_node >= 0) {
        atomic_fetch_add(&checks, 1);
        if (cpu->checked_node != node)
            atomic_fetch_add(&wrong_checks, 1);
        cpu->checked_node = -1;
        return;
    }
    if (node < 0) {
        atomic_fetch_add(&unknown_accesses, 1);
        return;
    }
    bool store = qemu_plugin_mem_is_store(info);
    cpu->stores += store;
    cpu->loads += !store;
    if (cache_access(cpu, vcpu, node_first_line[node] + (within >> line_shift), store))
        return;
    if (!cpu->given)
        cpu->misses[node]++;
    else if ((unsigned)node == cpu->node)
        cpu->given_local++;
    else
        cpu->given_remote++;
}

static void on_marker(unsigned vcpu, void *data)
{
    unsigned what = (unsigned)(uintptr_t)data;
    if (what == NUMA_SIM_START) {
        atomic_fetch_add(&starts, 1);
        atomic_store(&counting, true);
    } else if (what == NUMA_SIM_STOP) {
        atomic_store(&counting, false);
    } else if (what == NUMA_SIM_GIVEN || what == NUMA_SIM_OWN) {
        cpus[vcpu].given = what == NUMA_SIM_GIVEN;
    } else if (what >= NUMA_SIM_CHECK) {
        cpus[vcpu].checked_node = (int)(what - NUMA_SIM_CHECK);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    static const unsigned char marker[] = {0x0f, 0x1f, 0x84, 0x00};
    uint32_t displacement;

    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        /* The kernel's half.  Not even instrumented: the guest boots faster. */
        if (qemu_plugin_insn_vaddr(insn) >> 63)
            continue;
        if (qemu_plugin_insn_size(insn) == 8) {
            const unsigned char *bytes = qemu_plugin_insn_data(insn);
            memcpy(&displacement, bytes + sizeof marker, sizeof displacement);
            if (!memcmp(bytes, marker, sizeof marker) && displacement >> 16 == NUMA_SIM_MAGIC >> 16)
                qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
                                                       (void *)(uintptr_t)(displacement & 0xffff));
        }
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static void report(qemu_plugin_id_t id, void *data)
{
    uint64_t accesses = 0, local = 0, remote = 0, cost = 0, given_local = 0, given_remote = 0;
    uint64_t matrix[NODES_MAX][NODES_MAX] = {0};
    FILE *out = fopen(out_path, "w");

    (void)id, (void)data;
    if (!out) {
        perror(out_path);
        return;
    }
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i].left_out)
            continue;
        accesses += cpus[i].loads + cpus[i].stores;
        given_local += cpus[i].given_local;
        given_remote += cpus[i].given_remote;
        for (unsigned node = 0; node < node_count; node++) {
            uint64_t misses = cpus[i].misses[node];
            matrix[cpus[i].node][node] += misses;
            *(node == cpus[i].node ? &local : &remote) += misses;
            cost += misses * distances[cpus[i].node * node_count + node];
        }
    }
    fprintf(
        out,
        "{\"total\":\n{\"accesses\": %llu, \"misses\": %llu, \"local\": %llu, \"remote\": %llu, "
        "\"cost\": %llu.%llu, \"given_local\": %llu, \"given_remote\": %llu, \"starts\": %llu, "
        "\"checks\": %llu, \"wrong_checks\": %llu, "
        "\"unknown\": %llu},\n\"misses_by_node\": [",
        (unsigned long long)accesses, (unsigned long long)local + (unsigned long long)remote,
        (unsigned long long)local, (unsigned long long)remote, (unsigned long long)(cost / 10),
        (unsigned long long)(cost % 10), (unsigned long long)given_local,
        (unsigned long long)given_remote, (unsigned long long)starts, (unsigned long long)checks,
        (unsigned long long)wrong_checks, (unsigned long long)unknown_accesses);
    for (unsigned i = 0; i < node_count; i++)
        for (unsigned node = 0; node < node_count; node++)
            fprintf(out, "%s%llu%s",
                    node ? ", "
                    : i  ? ",\n["
                         : "\n[",
                    (unsigned long long)matrix[i][node], node == node_count - 1 ? "]" : "");
    fputs("],\n\"cpus\": [", out);
    for (unsigned i = 0; i < cpu_count; i++) {
        fprintf(out, "%s\n{\"node\": %u, \"loads\": %llu, \"stores\": %llu, \"misses_by_node\": ",
                i ? "," : "", cpus[i].node, (unsigned long long)cpus[i].loads,
                (unsigned long long)cpus[i].stores);
        for (unsigned node = 0; node < node_count; node++)
            fprintf(out, "%s%llu", node ? ", " : "[", (unsigned long long)cpus[i].misses[node]);
        fputs("]}", out);
    }
    fputs("]}\n", out);
    if (fclose(out))
        perror(out_path);
}

/* Numbers with ":" between them; how many, or 0 if it is no such list. */
static size_t parse_list(const char *text, uint64_t *numbers, size_t room)
{
    size_t count = 0;
    for (;;) {
        char *end;
        if (count == room || *text < '0' || *text > '9')
            return 0;
        numbers[count++] = strtoull(text, &end, 10);
        if (!*end)
            return count;
        if (*end != ':')
            return 0;
        text = end + 1;
    }
}

static bool parse_argument(const char *argument)
{
    static uint64_t numbers[NODES_MAX * NODES_MAX];
    const char *value = strchr(argument, '=');
    size_t length = value ? (size_t)(value - argument) : 0;

#define IS(name) (length == sizeof name - 1 && !memcmp(argument, name, length))
    if (!value)
        return false;
    value++;
    if (IS("out")) {
        out_path = strdup(value);
        return out_path != NULL;
    }
    size_t count = parse_list(value, numbers, NODES_MAX * NODES_MAX);
    if (IS("mem") && count && count <= NODES_MAX) {
        for (size_t i = 0; i < count; i++)
            node_bytes[i] = numbers[i] << 20;
    } else if (IS("cpus") && count && count <= NODES_MAX) {
        for (size_t i = 0; i < count; i++)
            node_cpus[i] = (unsigned)numbers[i];
    } else if (IS("distances") && count) {
        for (size_t i = 0; i < count; i++)
            distances[i] = (unsigned)numbers[i];
    } else if (IS("only") && count) {
        for (size_t i = 0; i < CPUS_MAX; i++)
            cpus[i].left_out = true;
        for (size_t i = 0; i < count; i++)
            if (numbers[i] < CPUS_MAX)
                cpus[numbers[i]].left_out = false;
    } else if (count == 1 && numbers[0] && numbers[0] <= UINT32_MAX / 1024) {
        unsigned number = (unsigned)numbers[0];
        if (IS("nodes") && number <= NODES_MAX)
            node_count = number;
        else if (IS("cache"))
            cache_kib = number;
        else if (IS("line") && number >= 16 && !(number & (number - 1)))
            line_bytes = number;
        else if (IS("ways"))
            way_count = number;
        else
            return false;
    } else {
        return false;
    }
#undef IS
    return true;
}

static bool set_up(unsigned smp)
{
    uint64_t sets = (uint64_t)cache_kib * 1024 / line_bytes / way_count;

    /* A line's low bits are its set. */
    if (!sets || sets & (sets - 1)) {
        fputs("numa_sim_plugin: the cache's sets must be a power of two\n", stderr);
        return false;
    }
    set_mask = (unsigned)sets - 1;
    while (1U << line_shift != line_bytes)
        line_shift++;
    for (unsigned node = 0; node < node_count; node++) {
        node_first_line[node] = line_count;
        line_count += node_bytes[node] >> line_shift;
        for (unsigned i = 0; i < node_cpus[node] && cpu_count < CPUS_MAX; i++) {
            cpus[cpu_count].ways = calloc(sets * way_count, sizeof(struct way));
            if (!cpus[cpu_count].ways)
                return false;
            cpus[cpu_count].checked_node = -1;
            cpus[cpu_count++].node = node;
        }
    }
    if (cpu_count != smp || line_count >= UINT32_MAX) {
        fprintf(stderr,
                "numa_sim_plugin: told of %u CPUs, the machine has %u; or too much memory\n",
                cpu_count, smp);
        return false;
    }
    /* Pages of it come as lines are touched. */
    line_table = calloc(line_count, sizeof *line_table);
    return line_table != NULL;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0) {
        fputs("numa_sim_plugin: works with qemu-system-x86_64 only\n", stderr);
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i])) {
            fprintf(stderr, "numa_sim_plugin: bad argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (!out_path || !set_up((unsigned)info->system.smp_vcpus))
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, report, NULL);
    return 0;
}
