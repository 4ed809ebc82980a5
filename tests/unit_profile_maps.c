/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The files whose code is mapped, of which some are gone, and others have come to their names.
 */
#include "profile_maps.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES 4096

struct met {
    uintptr_t at;
    bool found, has_id;
};

static void meet(const struct map *map, void *arg)
{
    struct met *met = arg;
    if (met->at < map->begin || met->at >= map->end)
        return;
    met->found = true;
    met->has_id = map->build_id[0] != '\0';
}

static struct met look(uintptr_t at)
{
    static struct maps_room room;
    struct met met = {.at = at};
    maps_visit(&room, meet, &met);
    return met;
}

static void own_code_is_found(void **state)
{
    (void)state;
    assert_true(look((uintptr_t)look).found);
}

/* As of a compiler at run time, whose temporary file is gone; anybody may have put a pipe
 * there, and who opens it for reading waits until somebody writes. */
static void what_lies_there_now_is_not_waited_for(void **state)
{
    (void)state;
    char path[] = "/tmp/nearheap_maps_XXXXXX", pipe_path[sizeof path + sizeof " (deleted)"];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, BYTES) == 0);
    void *code = mmap(NULL, BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_true(code != MAP_FAILED);
    close(fd);
    unlink(path);
    snprintf(pipe_path, sizeof pipe_path, "%s (deleted)", path);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    struct met met = look((uintptr_t)code);
    unlink(pipe_path);
    munmap(code, BYTES);
    assert_true(met.found && !met.has_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_code_is_found),
        cmocka_unit_test(what_lies_there_now_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
