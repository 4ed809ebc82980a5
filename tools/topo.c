/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topo.c - nearheap-topo: the machine as nearheap sees it, told by the engine's own code,
 * which is linked under its nh_ names: nodes, whose CPUs they are, memory, distances, the
 * order in which nodes help each other out, how that was found, and what costs performance.
 *
 * It sees what a server would that were started in its place: with the same environment,
 * cpuset and control group.  What the environment has a server do, it does not.
 */
#include "about.h"
#include "json_text.h"
#include "limits.h"
#include "machine_checks.h"
#include "numa/kernel_nodes.h"
#include "numa/read_file.h"
#include "numa/room.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "options.h"
#include "os.h"
#include "output.h"
#include "process.h"

#include <inttypes.h>
#include <nearheap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_TROUBLE 2

#define NS           1000000000LL
#define NS_A_US      1000
#define FILE_ROOM    8192 /* a node's meminfo */
#define PATH_ROOM    128
#define WARNINGS_MAX 64
#define WARNING_ROOM 1024
#define MIB_SHIFT    20
#define CPUS_WIDTH   20 /* of the column */
/* Before constructors without a priority, as the engine's is; lower ones are the compiler's. */
#define BEFORE_THE_ENGINE 101

struct node {
    int number;
    bool allowed;       /* by the process's cpuset */
    bool memory_known;  /* not of a node that is made up */
    struct room memory; /* in bytes */
    uint64_t gives;     /* what the engine would take of it now */
    unsigned cpus;
};

struct machine {
    const struct topology *topology;
    struct node nodes[NH_NODES_MAX];
    uint8_t slot_of_cpu[NH_CPUS_MAX]; /* as the engine finds it; not of made-up ones */
    uint64_t cgroup;                  /* what its limit leaves, in bytes; ROOM_BOUNDLESS */
    bool hwloc;                       /* it answers */
    int64_t kernel_ns;                /* how long it took to ask for nodes */
    int64_t hwloc_ns;                 /* and for everything */
};

static char warnings[WARNINGS_MAX][WARNING_ROOM];
static unsigned warning_count;

static void add_warning(const char *line)
{
    if (warning_count < WARNINGS_MAX)
        snprintf(warnings[warning_count++], WARNING_ROOM, "%s", line);
}

/* Files at exit, a signal's, guard pages and the attendant are for the server, whose files they
 * would replace. */
static void __attribute__((constructor(BEFORE_THE_ENGINE))) leave_to_the_server(void)
{
    static const enum option_id texts[] = {OPT_STATS, OPT_LEAKS, OPT_PROFILE};
    static const enum option_id numbers[] = {OPT_PROFILE_SIGNAL, OPT_GUARD, OPT_SHARE};
    (void)process_boot(); /* reads the options */
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        options_set_text(texts[i], "");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        options_set(numbers[i], 0);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * NS + time.tv_nsec;
}

/* ---- Looking ---- */

/* Whether the CPU, of what this process may see, is one of the slot's. */
static bool is_cpu_of(const struct machine *machine, unsigned cpu, unsigned slot)
{
    const struct topology *topology = machine->topology;
    if (topology->synthetic) {
        for (unsigned pu = cpu; pu < topology->pus; pu += topology->cpus)
            if (topology->slot_of_pu[pu] == slot)
                return true;
        return false;
    }
    return machine->slot_of_cpu[cpu] == slot;
}

static unsigned cpu_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);
    return count < 1 ? 1 : count > NH_CPUS_MAX ? NH_CPUS_MAX : (unsigned)count;
}

/* What the engine knows of CPUs; of others, such as those of nodes that the cpuset
 * excludes, it asks the kernel when a thread is there, so that is asked here, too. */
static void look_at_cpus(struct machine *machine)
{
    const struct topology *topology = machine->topology;
    static int cpus[NH_CPUS_MAX];
    char path[PATH_ROOM], text[FILE_ROOM];
    if (topology->slots > 1)
        memcpy(machine->slot_of_cpu, topology->slot_of_cpu, sizeof machine->slot_of_cpu);
    for (unsigned slot = 0; topology->slots > 1 && slot < topology->slots; slot++) {
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist",
                 topology->os_node[slot]);
        if (read_file(path, text, sizeof text) < 0)
            continue;
        int count = topology_parse_list(text, NH_CPUS_MAX, cpus, NH_CPUS_MAX);
        for (int i = 0; i < count; i++)
            if (machine->slot_of_cpu[cpus[i]] == TOPOLOGY_SLOT_UNKNOWN)
                machine->slot_of_cpu[cpus[i]] = (uint8_t)slot;
    }
}

static void look_at_node(const struct machine *machine, const struct node_mask *allowed,
                         struct node *node, unsigned slot)
{
    char path[PATH_ROOM], text[FILE_ROOM];
    node->number = machine->topology->os_node[slot];
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        node->cpus += is_cpu_of(machine, cpu, slot);
    node->allowed = true;
    if (machine->topology->synthetic)
        return;
    node->allowed = allowed == NULL || node_mask_has(allowed, node->number);
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node->number);
    node->memory_known =
        read_file(path, text, sizeof text) > 0 && room_parse_node(text, &node->memory);
    node->gives = room_of_node(node->number);
}

/* Asks the kernel and hwloc once more, to see how long they take: what the process found
 * at its start is already there. */
static void time_discovery(struct machine *machine)
{
    static struct topology again;
    int numbers[NH_NODES_MAX];
    again.slots = machine->topology->slots;
    again.synthetic = machine->topology->synthetic;
    again.cpus = machine->topology->cpus;
    memcpy(again.os_node, machine->topology->os_node, sizeof again.os_node);
    const char *spec = options_text(OPT_TOPOLOGY);
    bool made_up = machine->topology->synthetic;
    int64_t begun = now();
    (void)kernel_nodes(numbers, NH_NODES_MAX);
    int64_t asked = now();
    machine->hwloc =
        topology_ask_hwloc(made_up ? spec + strlen(TOPOLOGY_SYNTHETIC_PREFIX) : NULL, &again);
    machine->hwloc_ns = now() - asked;
    machine->kernel_ns = asked - begun;
}

static void look(struct machine *machine)
{
    struct node_mask mask;
    (void)nh_node_count(); /* a question about nodes: hwloc is asked now, if not before */
    machine->topology = topology_now();
    (void)usable_refresh();
    if (!machine->topology->synthetic)
        look_at_cpus(machine);
    bool told = kernel_nodes_allowed(&mask);
    for (unsigned slot = 0; slot < machine->topology->slots; slot++)
        look_at_node(machine, told ? &mask : NULL, &machine->nodes[slot], slot);
    machine->cgroup = room_of_cgroup();
    time_discovery(machine);
}

/* ---- What costs performance ---- */

static void __attribute__((format(printf, 1, 2))) warn(const char *format, ...)
{
    char line[WARNING_ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    add_warning(line);
}

static void warn_of_node(const struct machine *machine, unsigned slot)
{
    const struct node *node = &machine->nodes[slot];
    unsigned use = usable_slot(slot);
    if (use != slot)
        warn("node %d %s: threads on it use the memory of node %d", node->number,
             node->allowed ? "has no memory" : "is not allowed by the cpuset",
             machine->nodes[use].number);
    if (node->cpus == 0)
        warn("node %d has no CPUs: only other nodes' threads use it, when theirs is out of memory",
             node->number);
    if (node->allowed && node->memory_known && node->memory.total > 0 && node->gives == 0)
        warn("node %d is out of memory: its threads borrow of others", node->number);
}

static void look_for_costs(const struct machine *machine)
{
    const struct topology *topology = machine->topology;
    struct check_facts facts = {
        .system = "", .huge_always = options_get(OPT_HUGE) == OS_HUGE_ALWAYS, .tell = add_warning};
    (void)check_machine(&facts);
    if (topology->slots > 1 && !topology->discovered)
        warn("hwloc does not answer: distances are unknown, all other nodes count as equally far. "
             "Change: install libhwloc15");
    if (!topology->synthetic && topology->slots == NH_NODES_MAX)
        warn("there are %d nodes or more: those beyond share the last heap", NH_NODES_MAX);
    if (topology->slots > 1)
        for (unsigned slot = 0; slot < topology->slots; slot++)
            warn_of_node(machine, slot);
}

/* ---- Telling ---- */

/* The slot's CPUs as the kernel writes lists, such as 0-3,8. */
static void cpu_list(const struct machine *machine, unsigned slot, char text[FILE_ROOM])
{
    size_t used = 0;
    unsigned count = cpu_count();
    text[0] = '\0';
    for (unsigned cpu = 0; cpu < count && used < FILE_ROOM - PATH_ROOM; cpu++) {
        unsigned first = cpu;
        if (!is_cpu_of(machine, cpu, slot))
            continue;
        while (cpu + 1 < count && is_cpu_of(machine, cpu + 1, slot))
            cpu++;
        used += (size_t)snprintf(text + used, FILE_ROOM - used, cpu > first ? "%s%u-%u" : "%s%u",
                                 used > 0 ? "," : "", first, cpu);
    }
}

/* In one word, how the picture came about. */
static const char *source_of(const struct topology *topology)
{
    return topology->synthetic ? "synthetic" : topology->discovered ? "hwloc" : "kernel";
}

static void print_nodes(const struct machine *machine)
{
    const struct topology *topology = machine->topology;
    printf("\n%-6s%-*s%12s%12s%12s   %s\n", "node", CPUS_WIDTH, "CPUs", "memory MiB", "free",
           "gives now", "helped out by");
    for (unsigned slot = 0; slot < topology->slots; slot++) {
        const struct node *node = &machine->nodes[slot];
        char cpus[FILE_ROOM];
        cpu_list(machine, slot, cpus);
        printf("%-6d%-*s", node->number, CPUS_WIDTH, cpus[0] != '\0' ? cpus : "none");
        if (node->memory_known)
            printf("%12" PRIu64 "%12" PRIu64 "%12" PRIu64 "  ", node->memory.total >> MIB_SHIFT,
                   node->memory.free >> MIB_SHIFT, node->gives >> MIB_SHIFT);
        else
            printf("%12s%12s%12s  ", "?", "?", "?");
        for (unsigned i = 1; i < topology->slots; i++)
            printf(" %d", topology->os_node[topology->nearest[slot][i]]);
        puts(topology->slots > 1 ? "" : " nobody");
    }
}

static void print_distances(const struct topology *topology)
{
    printf("\n%-9s", "distances");
    for (unsigned to = 0; to < topology->slots; to++)
        printf("%5d", topology->os_node[to]);
    for (unsigned from = 0; from < topology->slots; from++) {
        printf("\n%-9d", topology->os_node[from]);
        for (unsigned to = 0; to < topology->slots; to++)
            printf("%5u", topology->distance[from][to]);
    }
    puts("");
}

static void print_text(const struct machine *machine)
{
    const struct topology *topology = machine->topology;
    printf("%u node%s, told by: %s. Asked again, the kernel took %" PRId64 " us", topology->slots,
           topology->slots > 1 ? "s" : "", source_of(topology), machine->kernel_ns / NS_A_US);
    if (machine->hwloc)
        printf(", hwloc %" PRId64 " us.\n", machine->hwloc_ns / NS_A_US);
    else
        puts("; hwloc did not answer.");
    print_nodes(machine);
    if (topology->slots > 1)
        print_distances(topology);
    puts("");
    if (machine->cgroup != ROOM_BOUNDLESS)
        printf("The control group's limit leaves %" PRIu64 " MiB.\n", machine->cgroup >> MIB_SHIFT);
    for (unsigned i = 0; i < warning_count; i++)
        printf("! %s\n", warnings[i]);
    if (warning_count == 0)
        puts("Nothing was found that costs performance.");
}

/* Bytes, or null for what is not known or boundless. */
static void print_json_bytes(const char *name, uint64_t bytes, bool known)
{
    printf("\"%s\": ", name);
    if (known)
        printf("%" PRIu64 ", ", bytes);
    else
        fputs("null, ", stdout);
}

static void print_json_node(const struct machine *machine, unsigned slot)
{
    const struct topology *topology = machine->topology;
    const struct node *node = &machine->nodes[slot];
    char cpus[FILE_ROOM];
    cpu_list(machine, slot, cpus);
    printf("%s\n    {\"node\": %d, \"cpus\": \"%s\", \"allowed\": %s, \"uses\": %d, ",
           slot > 0 ? "," : "", node->number, cpus, node->allowed ? "true" : "false",
           topology->os_node[usable_slot(slot)]);
    print_json_bytes("total_bytes", node->memory.total, node->memory_known);
    print_json_bytes("free_bytes", node->memory.free, node->memory_known);
    print_json_bytes("gives_bytes", node->gives, node->memory_known);
    fputs("\"distances\": [", stdout);
    for (unsigned to = 0; to < topology->slots; to++)
        printf("%s%u", to > 0 ? ", " : "", topology->distance[slot][to]);
    fputs("], \"nearest\": [", stdout);
    for (unsigned i = 0; i < topology->slots; i++)
        printf("%s%d", i > 0 ? ", " : "", topology->os_node[topology->nearest[slot][i]]);
    fputs("]}", stdout);
}

static void print_json(const struct machine *machine)
{
    printf("{\"source\": \"%s\", \"kernel_ns\": %" PRId64 ", \"hwloc_ns\": ",
           source_of(machine->topology), machine->kernel_ns);
    if (machine->hwloc)
        printf("%" PRId64 ", ", machine->hwloc_ns);
    else
        fputs("null, ", stdout);
    print_json_bytes("cgroup_bytes", machine->cgroup, machine->cgroup != ROOM_BOUNDLESS);
    fputs("\n  \"nodes\": [", stdout);
    for (unsigned slot = 0; slot < machine->topology->slots; slot++)
        print_json_node(machine, slot);
    fputs("],\n  \"warnings\": [", stdout);
    for (unsigned i = 0; i < warning_count; i++) {
        fputs(i > 0 ? ",\n    " : "\n    ", stdout);
        json_text(stdout, warnings[i]);
    }
    puts("]}");
}

static void print_help(void)
{
    puts("usage: nearheap-topo [--json]\n\n"
         "Tells the machine as nearheap sees it, in this place: with this environment, cpuset\n"
         "and control group.  \"gives now\" is what a node would give to a heap: unused, above\n"
         "what the kernel keeps.  A node that is out of memory is \"helped out by\" others in\n"
         "that order: first with what their heaps have free.  Distances: 10 is a node's own\n"
         "memory, 20 twice as far.  Lines that begin with ! say what costs performance.\n\n"
         "  --json      the same as JSON; sizes in bytes, times in nanoseconds, null: not known,\n"
         "              or without a limit\n"
         "  -h, --help  this text\n"
         "  --version   print the version\n\n"
         "Another machine: NEARHEAP_TOPOLOGY='synthetic:numa:4 core:2 pu:1' nearheap-topo");
}

int main(int argc, char **argv)
{
    static struct machine machine;
    output_begin("nearheap-topo", STATUS_TROUBLE);
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc == 2 && asks_for_help(argv[1])) {
        print_help();
        return 0;
    }
    if (argc == 2 && asks_for_version(argv[1])) {
        print_version("nearheap-topo");
        return 0;
    }
    if (argc > 1 && !json) {
        fprintf(stderr, "nearheap-topo: unknown argument '%s'; see --help\n", argv[argc - 1]);
        return STATUS_TROUBLE;
    }
    look(&machine);
    look_for_costs(&machine);
    (json ? print_json : print_text)(&machine);
    return 0;
}
