/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * texts.c - any text as a list of nodes, as the description of a topology, and as the kernel's
 * files on memory.
 */
#include "fuzz.h"

#include "numa/room.h"
#include "numa/topology.h"

#include <string.h>

#define TEXT_MOST 2047
#define LIST_ROOM 64
#define PATH_ROOM 64
#define UNTOUCHED 77

static void parse_list(const char *text)
{
    int numbers[LIST_ROOM + 1];
    numbers[LIST_ROOM] = -UNTOUCHED;
    int found = topology_parse_list(text, NH_CPUS_MAX, numbers, LIST_ROOM);
    FUZZ_CHECK(found >= -1 && found <= NH_CPUS_MAX);
    FUZZ_CHECK(numbers[LIST_ROOM] == -UNTOUCHED);
    for (int i = 0; i < found && i < LIST_ROOM; i++)
        FUZZ_CHECK(numbers[i] >= (i == 0 ? 0 : numbers[i - 1] + 1) && numbers[i] < NH_CPUS_MAX);
}

static void parse_memory(const char *text)
{
    struct room room = {0};
    if (room_parse_node(text, &room))
        FUZZ_CHECK(room_watermark(&room) <= room.total);
    char path[PATH_ROOM + 1];
    path[PATH_ROOM] = UNTOUCHED;
    if (room_parse_cgroup(text, path, PATH_ROOM))
        FUZZ_CHECK(strlen(path) < PATH_ROOM && strchr(path, '\n') == NULL &&
                   strstr(text, path) != NULL);
    FUZZ_CHECK(path[PATH_ROOM] == UNTOUCHED);
    FUZZ_CHECK((*text >= '0' && *text <= '9') || room_parse_number(text) == ROOM_BOUNDLESS);
    if (strstr(text, "MemAvailable:") == NULL)
        FUZZ_CHECK(room_parse_machine(text) == ROOM_BOUNDLESS);
    if (strstr(text, "RssAnon:") == NULL)
        FUZZ_CHECK(room_parse_taken(text) == ROOM_BOUNDLESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_exact_text(data, size, TEXT_MOST);
    parse_list(text);
    parse_memory(text);
    FUZZ_CHECK(topology_synthetic_nodes(text) <= NH_NODES_MAX);
    free(text);
    return 0;
}
