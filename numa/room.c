/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * room.c - see room.h.
 */
#include "numa/room.h"

#include "log.h"
#include "numa/kernel_nodes.h"
#include "numa/read_file.h"
#include "numa/topology.h"

#include <string.h>

/* The watermark of a node: a part of it, and what the kernel shows as free but
 * keeps (the zone for old devices, 16 MB on the first node, and its reserves);
 * but not most of a small node. */
#define WATERMARK_SHIFT       5
#define WATERMARK_RESERVED    ((uint64_t)24 << 20)
#define WATERMARK_MOST        ((uint64_t)256 << 20)
#define WATERMARK_SMALL_SHIFT 2

/* Of a control group, which has no reserves but counts the kernel's own work
 * for the process. */
#define CGROUP_MARK_SHIFT 5
#define CGROUP_MARK_LEAST ((uint64_t)1 << 20)

#define CGROUP_ROOT    "/sys/fs/cgroup"
#define PATH_MOST      512
#define NODE_PATH_MOST 64

/* A node's meminfo has some 40 lines; what is wanted stands in the first.  It is on the stack of
 * whoever calls malloc, some threads of which have but 16 KiB: in one function at a time, which
 * is not made part of others. */
#define TEXT_MOST 2048

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    while (*text == ' ' || *text == '\t')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

static uint64_t above(uint64_t value, uint64_t mark)
{
    return value > mark ? value - mark : 0;
}

/* The value of `name` in kilobytes, as bytes. */
static bool find_kilobytes(const char *text, const char *name, uint64_t *out)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        return false;
    *out = number(at + strlen(name)) << 10;
    return true;
}

bool room_parse_node(const char *text, struct room *out)
{
    uint64_t active = 0, inactive = 0;
    if (!find_kilobytes(text, "MemTotal:", &out->total) ||
        !find_kilobytes(text, "MemFree:", &out->free))
        return false;
    (void)find_kilobytes(text, "Active(file):", &active);
    (void)find_kilobytes(text, "Inactive(file):", &inactive);
    out->cache = active + inactive;
    return true;
}

uint64_t room_parse_machine(const char *text)
{
    uint64_t total, available;
    if (!find_kilobytes(text, "MemTotal:", &total) ||
        !find_kilobytes(text, "MemAvailable:", &available))
        return ROOM_BOUNDLESS;
    return above(available, total >> WATERMARK_SHIFT);
}

uint64_t room_parse_taken(const char *text)
{
    uint64_t resident, swapped = 0;
    if (!find_kilobytes(text, "RssAnon:", &resident))
        return ROOM_BOUNDLESS;
    (void)find_kilobytes(text, "VmSwap:", &swapped);
    return resident + swapped;
}

bool room_parse_cgroup(const char *text, char *path, size_t size)
{
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "0::", 3) == 0 && length - 3 < size) {
            memcpy(path, line + 3, length - 3);
            path[length - 3] = '\0';
            return true;
        }
        line += length + (line[length] == '\n');
    }
    return false;
}

uint64_t room_parse_number(const char *text)
{
    return *text >= '0' && *text <= '9' ? number(text) : ROOM_BOUNDLESS;
}

uint64_t room_watermark(const struct room *node)
{
    uint64_t mark = (node->total >> WATERMARK_SHIFT) + WATERMARK_RESERVED;
    uint64_t most = node->total >> WATERMARK_SMALL_SHIFT;
    if (most > WATERMARK_MOST)
        most = WATERMARK_MOST;
    return mark < most ? mark : most;
}

/* What is found in a file; ROOM_BOUNDLESS where it cannot be read. */
static NH_NOINLINE uint64_t read_by(uint64_t (*parse)(const char *text), const char *path)
{
    char text[TEXT_MOST];
    return read_file(path, text, sizeof(text)) > 0 ? parse(text) : ROOM_BOUNDLESS;
}

static NH_NOINLINE bool read_room(const char *path, struct room *out)
{
    char text[TEXT_MOST];
    return read_file(path, text, sizeof(text)) > 0 && room_parse_node(text, out);
}

static bool read_node(int node, struct room *out)
{
    char path[NODE_PATH_MOST];
    struct text at = {.at = path, .room = sizeof(path)};
    text_add(&at, "/sys/devices/system/node/node%d/meminfo", node);
    return read_room(path, out);
}

static bool excluded(int node)
{
    struct node_mask allowed;
    return kernel_nodes_allowed(&allowed) && !node_mask_has(&allowed, node);
}

uint64_t room_of_node(int node)
{
    struct room room;
    if (excluded(node))
        return 0;
    if (!read_node(node, &room))
        return ROOM_BOUNDLESS;
    return above(room.free, room_watermark(&room));
}

static uint64_t at_most(const struct room *node)
{
    return above(node->free + node->cache / 2, room_watermark(node));
}

uint64_t room_of_node_at_most(int node)
{
    struct room room;
    if (excluded(node))
        return 0;
    return read_node(node, &room) ? at_most(&room) : ROOM_BOUNDLESS;
}

/* Memory that was taken and is not touched yet is not missing on the node, but if it were
 * counted on twice the kernel would kill somebody.  So what the heap used when it first looked,
 * and what could be had then, is the most that it plans with; and half of what files had then
 * and have lost, which was not counted on: but not more than half of what the process has come
 * to have since, for what others took in their place is theirs. */
uint64_t room_plan_left(struct room_plan *plan, const struct room *node, uint64_t used,
                        uint64_t taken)
{
    uint64_t room = at_most(node);
    uint64_t lost = above(plan->cache, node->cache);
    uint64_t come = taken != ROOM_BOUNDLESS ? above(taken, plan->taken) : 0;
    uint64_t more = (lost < come ? lost : come) / 2;
    if (plan->most + more < room) {
        *plan = (struct room_plan){.node = plan->node,
                                   .most = room + (plan->most == 0 ? used : 0),
                                   .cache = node->cache,
                                   .taken = taken};
        more = 0;
    }
    return above(plan->most + more, used);
}

uint64_t room_of_plan(struct room_plan *plan, int node, uint64_t used, bool hard)
{
    struct room room;
    if (plan->node != node) /* the heap has moved */
        *plan = (struct room_plan){.node = node};
    if (excluded(node))
        return 0;
    if (!read_node(node, &room))
        return ROOM_BOUNDLESS;
    uint64_t left = room_plan_left(plan, &room, used, room_taken());
    uint64_t now = hard ? at_most(&room) : above(room.free, room_watermark(&room));
    return left < now ? left : now;
}

uint64_t room_of_machine(void)
{
    return read_by(room_parse_machine, "/proc/meminfo");
}

/* The thread's file: when the first one has ended, the process's tells nothing of memory.  Before
 * what is wanted stand the process's groups, of which there may be thousands. */
NH_NOINLINE uint64_t room_taken(void)
{
    char text[TEXT_MOST];
    return read_file_from("/proc/thread-self/status", "\nRssAnon:", text, sizeof(text)) > 0
               ? room_parse_taken(text)
               : ROOM_BOUNDLESS;
}

/* ---- cgroup ---- */

static uint64_t parse_files(const char *text)
{
    const char *at = strstr(text, "inactive_file ");
    return at != NULL ? number(at + strlen("inactive_file")) : 0;
}

/* Of the file `name` in the folder, whose path it leaves as it was. */
static uint64_t read_in(char *folder, const char *name, uint64_t (*parse)(const char *text))
{
    size_t end = strlen(folder);
    if (end + strlen(name) >= PATH_MOST)
        return ROOM_BOUNDLESS;
    memcpy(folder + end, name, strlen(name) + 1);
    uint64_t found = read_by(parse, folder);
    folder[end] = '\0';
    return found;
}

static uint64_t room_in(char *folder)
{
    uint64_t limit = read_in(folder, "/memory.max", room_parse_number);
    if (limit == ROOM_BOUNDLESS)
        return ROOM_BOUNDLESS;
    uint64_t used = read_in(folder, "/memory.current", room_parse_number);
    if (used == ROOM_BOUNDLESS)
        return ROOM_BOUNDLESS;
    uint64_t files = read_in(folder, "/memory.stat", parse_files);
    if (files == ROOM_BOUNDLESS)
        files = 0;
    uint64_t mark = limit >> CGROUP_MARK_SHIFT;
    if (mark < CGROUP_MARK_LEAST)
        mark = CGROUP_MARK_LEAST;
    return above(limit + files / 2, used + mark);
}

/* The process's group, as a path below the root's.  By the thread's file, as above: a first one
 * that has ended stays where it was when the process is moved. */
static NH_NOINLINE bool find_group(char *path, size_t size)
{
    char text[TEXT_MOST];
    return read_file("/proc/thread-self/cgroup", text, sizeof(text)) > 0 &&
           room_parse_cgroup(text, path, size);
}

uint64_t room_of_cgroup(void)
{
    char folder[PATH_MOST] = CGROUP_ROOT;
    size_t root = strlen(CGROUP_ROOT);
    if (!find_group(folder + root, sizeof(folder) - root))
        return ROOM_BOUNDLESS;
    /* The limit of each group above counts too. */
    uint64_t least = ROOM_BOUNDLESS;
    for (;;) {
        uint64_t here = room_in(folder);
        if (here < least)
            least = here;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + root)
            return least;
        *slash = '\0';
    }
}

static uint64_t parse_swap(const char *text)
{
    uint64_t swap = 0;
    (void)find_kilobytes(text, "SwapFree:", &swap);
    return swap;
}

uint64_t room_of_process(void)
{
    uint64_t cgroup = room_of_cgroup();
    const struct topology *topology = topology_now();
    if (topology->synthetic || topology->slots == 1)
        return cgroup; /* how far one node may be overcommitted is the kernel's to say */
    uint64_t sum = 0;
    for (unsigned slot = 0; slot < topology->slots; slot++) {
        uint64_t node = room_of_node_at_most(topology->os_node[slot]);
        if (node == ROOM_BOUNDLESS)
            return cgroup;
        sum += node;
    }
    uint64_t swap = read_by(parse_swap, "/proc/meminfo");
    if (swap != ROOM_BOUNDLESS)
        sum += swap;
    return sum < cgroup ? sum : cgroup;
}
