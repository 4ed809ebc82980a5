/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How much memory there is: the kernel's texts, and what is made of them.
 */
#include "unit.h"

#include "numa/read_file.h"
#include "numa/room.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static const char meminfo[] = "Node 1 MemTotal:         262144 kB\n"
                              "Node 1 MemFree:          131072 kB\n"
                              "Node 1 MemUsed:          131072 kB\n"
                              "Node 1 Active:            20480 kB\n"
                              "Node 1 Active(anon):      10240 kB\n"
                              "Node 1 Inactive(anon):      512 kB\n"
                              "Node 1 Active(file):       3072 kB\n"
                              "Node 1 Inactive(file):     1024 kB\n";

static void a_nodes_meminfo(void **state)
{
    (void)state;
    struct room room;
    assert_true(room_parse_node(meminfo, &room));
    assert_int_equal(room.total, 256 * MIB);
    assert_int_equal(room.free, 128 * MIB);
    assert_int_equal(room.cache, 4 * MIB);
    /* An older kernel's, without the lines about files. */
    assert_true(room_parse_node("Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 12 kB\n", &room));
    assert_int_equal(room.total, MIB);
    assert_int_equal(room.free, 12 << 10);
    assert_int_equal(room.cache, 0);
    assert_false(room_parse_node("", &room));
    assert_false(room_parse_node("Node 0 MemTotal: 1024 kB\n", &room));
}

static void watermarks(void **state)
{
    (void)state;
    static const struct {
        uint64_t total, mark;
    } cases[] = {{0, 0},
                 {64 * MIB, 16 * MIB},
                 {256 * MIB, 32 * MIB},
                 {1024 * MIB, 56 * MIB},
                 {1 << 20, (1 << 20) / 4},
                 {1024 * 1024 * MIB, 256 * MIB}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct room node = {.total = cases[i].total};
        assert_int_equal(room_watermark(&node), cases[i].mark);
    }
}

static void cgroup_path(void **state)
{
    (void)state;
    char path[32];
    assert_true(room_parse_cgroup("0::/\n", path, sizeof(path)));
    assert_string_equal(path, "/");
    assert_true(room_parse_cgroup("0::/system.slice/db.service", path, sizeof(path)));
    assert_string_equal(path, "/system.slice/db.service");
    assert_true(room_parse_cgroup("12:cpuset:/a\n1:name=systemd:/b\n0::/c\n", path, sizeof(path)));
    assert_string_equal(path, "/c");
    assert_false(room_parse_cgroup("12:memory:/a\n", path, sizeof(path)));
    assert_false(room_parse_cgroup("", path, sizeof(path)));
    /* Too long to be kept. */
    assert_false(room_parse_cgroup("0::/0123456789012345678901234567890", path, sizeof(path)));
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(room_parse_number("209715200\n"), 200 * MIB);
    assert_int_equal(room_parse_number("0"), 0);
    assert_int_equal(room_parse_number("max\n"), ROOM_BOUNDLESS);
    assert_int_equal(room_parse_number(""), ROOM_BOUNDLESS);
}

static void the_machine(void **state)
{
    (void)state;
    static const char text[] = "MemTotal:       1048576 kB\n"
                               "MemFree:         131072 kB\n"
                               "MemAvailable:    524288 kB\n";
    assert_int_equal(room_parse_machine(text), 512 * MIB - 32 * MIB);
    assert_int_equal(room_parse_machine("MemTotal: 1048576 kB\nMemAvailable: 1024 kB\n"), 0);
    /* Before Linux 3.14. */
    assert_int_equal(room_parse_machine("MemTotal: 1048576 kB\nMemFree: 1024 kB\n"),
                     ROOM_BOUNDLESS);
    assert_int_equal(room_parse_machine(""), ROOM_BOUNDLESS);
}

static void what_is_taken(void **state)
{
    (void)state;
    static const char text[] = "VmRSS:\t    9000 kB\nRssAnon:\t    4096 kB\nRssFile:\t    4904 kB\n"
                               "VmSwap:\t    1024 kB\n";
    assert_int_equal(room_parse_taken(text), 5 * MIB);
    assert_int_equal(room_parse_taken("RssAnon: 2048 kB\n"), 2 * MIB);
    /* Before Linux 4.5. */
    assert_int_equal(room_parse_taken("VmRSS: 9000 kB\n"), ROOM_BOUNDLESS);
}

/* A node with so much unused above its watermark. */
static struct room node_of(uint64_t unused, uint64_t cache)
{
    struct room node = {.total = 4096 * MIB, .cache = cache};
    node.free = unused + room_watermark(&node);
    return node;
}

/* Takes and touches what is left, a little at a time, where files make room for what does not
 * lie unused; the heap has `used` at last. */
static uint64_t fill(struct room_plan *plan, uint64_t unused, uint64_t cache, uint64_t used)
{
    static const uint64_t step = MIB, others = 30 * MIB;
    for (;;) {
        struct room node = node_of(unused, cache);
        uint64_t now = unused + cache / 2, left = room_plan_left(plan, &node, used, used + others);
        if (left < step || now < step)
            return used;
        used += step;
        if (unused >= step)
            unused -= step;
        else
            cache -= step;
    }
}

static void a_plan_reaches_as_far_as_files_give_way(void **state)
{
    (void)state;
    struct room_plan plan = {0};
    /* With 1 MiB of files half of that is less than a step. */
    assert_int_equal(fill(&plan, 0, 1000 * MIB, 0), 999 * MIB);
    plan = (struct room_plan){0};
    assert_int_equal(fill(&plan, 1000 * MIB, 0, 100 * MIB), 1100 * MIB);
    plan = (struct room_plan){0};
    assert_int_equal(fill(&plan, 600 * MIB, 400 * MIB, 0), 999 * MIB);
    plan = (struct room_plan){0};
    assert_int_equal(fill(&plan, 200 * MIB, 800 * MIB, 50 * MIB), 1049 * MIB);
}

static void what_is_not_touched_is_planned_once(void **state)
{
    (void)state;
    struct room node = node_of(100 * MIB, 400 * MIB);
    struct room_plan plan = {0};
    assert_int_equal(room_plan_left(&plan, &node, 20 * MIB, 30 * MIB), 300 * MIB);
    assert_int_equal(room_plan_left(&plan, &node, 220 * MIB, 30 * MIB), 100 * MIB);
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, 30 * MIB), 0);
    /* Others take what files had. */
    node = node_of(100 * MIB, 200 * MIB);
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, 30 * MIB), 0);
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, 90 * MIB), 30 * MIB);
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, 330 * MIB), 100 * MIB);
    /* It is not told what the process has. */
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, ROOM_BOUNDLESS), 0);
    /* There is more than was ever planned with. */
    node = node_of(900 * MIB, 0);
    assert_int_equal(room_plan_left(&plan, &node, 320 * MIB, 330 * MIB), 580 * MIB);
}

/* ---- The files themselves ---- */

static void text_that_lies_anywhere(void **state)
{
    (void)state;
    static const char name[] = "\nRssAnon:", filler[] = "\nRssAno\nRssAnon",
                      line[] = "\nRssAnon: 7";
    char path[] = "/tmp/nearheap_room_XXXXXX", text[40];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t before = 0; before < 3 * sizeof text; before++) {
        assert_int_equal(read_file_from(path, name, text, sizeof text), -1);
        assert_int_equal(ftruncate(fd, 0), 0);
        for (size_t i = 0; i < before; i++)
            assert_int_equal(pwrite(fd, filler + i % (sizeof filler - 1), 1, (off_t)i), 1);
        assert_int_equal(pwrite(fd, line, strlen(line), (off_t)before), strlen(line));
        assert_int_equal(read_file_from(path, name, text, sizeof text), strlen(line));
        assert_string_equal(text, line);
        for (size_t i = 0; i < sizeof text; i++) /* of what follows as much as there is room for */
            assert_int_equal(pwrite(fd, "8", 1, (off_t)(before + strlen(line) + i)), 1);
        assert_int_equal(read_file_from(path, name, text, sizeof text), sizeof text - 1);
        assert_string_equal(text + strlen(line), "8888888888888888888888888888");
        assert_int_equal(ftruncate(fd, (off_t)before), 0);
    }
    close(fd);
    unlink(path);
    assert_int_equal(read_file_from(path, name, text, sizeof text), -1);
}

#define CANNOT 77

/* What a child of ours ends with; it must be told what it has. */
static int status_of(void (*child)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        child();
        _exit(room_taken() != ROOM_BOUNDLESS ? 0 : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void nothing(void)
{
}

static void many_groups(void)
{
    gid_t groups[2000];
    for (unsigned i = 0; i < 2000; i++)
        groups[i] = 1000000 + i;
    if (setgroups(2000, groups) != 0)
        _exit(CANNOT);
}

/* Not by pthread_join, which a sanitizer does not know of a child's first thread. */
static bool first_thread_is_gone(void)
{
    char text[256];
    return read_file("/proc/self/stat", text, sizeof text) > 0 && strstr(text, ") Z") != NULL;
}

static void *go_on(void *arg)
{
    while (!first_thread_is_gone())
        sched_yield();
    _exit(room_taken() != ROOM_BOUNDLESS ? 0 : 1);
    return arg;
}

static void first_thread_ends(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, go_on, NULL) != 0)
        _exit(CANNOT);
    pthread_exit(NULL);
}

static void what_the_process_has_is_told(void **state)
{
    (void)state;
    if (status_of(nothing) != 0)
        skip(); /* before Linux 4.5 */
    assert_int_equal(status_of(first_thread_ends), 0);
    int status = status_of(many_groups);
    assert_true(status == 0 || status == CANNOT);
}

/* What is planned with on one node says nothing of another. */
static void a_heap_that_moves_plans_anew(void **state)
{
    (void)state;
    struct room_plan plan = {.most = (uint64_t)1 << 60, .node = 1};
    uint64_t left = room_of_plan(&plan, 0, 0, true);
    assert_int_equal(plan.node, 0);
    assert_true(left == ROOM_BOUNDLESS || left < (uint64_t)1 << 60);
    assert_true(plan.most < (uint64_t)1 << 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nodes_meminfo),
        cmocka_unit_test(watermarks),
        cmocka_unit_test(cgroup_path),
        cmocka_unit_test(the_machine),
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(a_plan_reaches_as_far_as_files_give_way),
        cmocka_unit_test(what_is_not_touched_is_planned_once),
        cmocka_unit_test(text_that_lies_anywhere),
        cmocka_unit_test(what_the_process_has_is_told),
        cmocka_unit_test(a_heap_that_moves_plans_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
