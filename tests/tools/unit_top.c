/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_top.c - what nearheap-top makes of pages whose makers mean ill, and its pure parts:
 * the kernel's files, bars, numbers.
 */
#include "log.h"
#include "proc_stat.h"
#include "share_file.h"
#include "tests/unit.h"
#include "tools/printable.h"
#include "tools/top_export.h"
#include "tools/top_page.h"
#include "tools/top_residence.h"
#include "tools/top_spark.h"
#include "tools/top_text.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 300
/* Between numbers of nodes, at most. */
#define STEP (INT32_MAX / NH_NODES_MAX)

static uint64_t seed = 1;

static void fill_random(void *at, size_t bytes)
{
    unsigned char *byte = at;
    for (size_t i = 0; i < bytes; i++)
        byte[i] = (unsigned char)random_next(&seed);
}

/* As a process's with that many nodes, whose counters are zero. */
static void make_page(struct share_page *page, unsigned slots)
{
    memset(page, 0, sizeof *page);
    page->header.magic = SHARE_MAGIC;
    page->header.version = SHARE_VERSION;
    page->header.node_stats = SHARE_NODE_VALUES;
    page->header.class_stats = SHARE_CLASS_VALUES;
    page->header.pair_stats = SHARE_PAIR_VALUES;
    page->header.heaps = NH_HEAPS;
    page->header.classes = NH_CLASSES;
    page->header.bytes = sizeof *page;
    page->header.pid = getpid();
    page->header.generation = 2;
    for (unsigned set = 0; set < 2; set++) {
        struct share_figures *figures = &page->figures[set];
        figures->slots = slots;
        for (unsigned slot = 0; slot < slots; slot++)
            figures->node[slot].number = (int32_t)slot;
        figures->node[NH_HEAP_INTERLEAVED].number = SHARE_NO_NODE;
        for (unsigned cls = 0; cls < NH_CLASSES; cls++)
            figures->cls[cls].object_bytes = cls;
    }
}

/* What the tool does with a file of these bytes; true if it takes it for a page. */
static bool read_bytes(const void *bytes, size_t length, struct top_process *out)
{
    uint64_t generation;
    int fd = memfd_create("page", MFD_CLOEXEC);
    assert_true(fd >= 0 && log_write_all(fd, bytes, length) == 0);
    bool good = share_file_header(fd, &out->header) && top_copy_figures(fd, &out->now, &generation);
    close(fd);
    return good;
}

/* All that is ever printed of a process: the sanitizers see whether it stays within bounds. */
static void print_all(struct top_process *process)
{
    static struct residence residence;
    struct top_sample sample = {.process = process, .residence = &residence};
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    assert_non_null(to);
    residence.known = true;
    fill_random(residence.bytes, sizeof residence.bytes);
    top_print_head(to, process);
    top_print_nodes(to, process, &residence);
    top_print_matrix(to, process, true);
    top_print_matrix(to, process, false);
    top_print_residence(to, process, &residence);
    for (enum top_order order = 0; order < TOP_ORDERS; order++)
        top_print_classes(to, process, order, NH_CLASSES);
    top_print_list_line(to, process);
    top_print_json(to, &sample);
    top_print_prometheus(to, &sample, 1);
    assert_int_equal(fclose(to), 0);
    assert_true(length > 0);
    for (size_t i = 0; i < length; i++) /* nothing that commands a terminal */
        assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
    free(text);
}

static struct share_page page;
static struct top_process process;

/* Memory that is spread over nodes has one name, below which its columns stay in their places. */
static void interleaved_memory_has_a_name(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    make_page(&page, 2);
    page.figures[0].node[NH_HEAP_INTERLEAVED].number = SHARE_INTERLEAVED;
    memset(&process, 0, sizeof process);
    process.now = page.figures[0];
    FILE *to = open_memstream(&text, &length);
    assert_non_null(to);
    top_print_nodes(to, &process, NULL);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "\ninterleaved "));
    size_t width = strcspn(text, "\n");
    for (const char *line = text; *line != '\n'; line += width + 1)
        assert_int_equal(strcspn(line, "\n"), width);
    free(text);
}

/* Of the last interval, 3 of 4; all in all it is 1 of 2. */
static void shares_are_of_the_interval(void **state)
{
    (void)state;
    make_page(&page, 1);
    memset(&process, 0, sizeof process);
    process.now = process.before = page.figures[0];
    process.has_before = true;
    struct share_figures *sets[] = {&process.before, &process.now};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t *node = sets[i]->node[0].value, *cls = sets[i]->cls[1].value;
        node[SHARE_NODE_refills] = cls[SHARE_CLASS_refills] = i == 0 ? 40 : 50;
        node[SHARE_NODE_refilled_objects] = cls[SHARE_CLASS_refilled_objects] = i == 0 ? 60 : 100;
    }
    for (unsigned i = 0; i < 2; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *to = open_memstream(&text, &length);
        assert_non_null(to);
        if (i == 0)
            top_print_list_line(to, &process);
        else
            top_print_classes(to, &process, TOP_BY_REFILLS, 1);
        assert_int_equal(fclose(to), 0);
        assert_non_null(strstr(text, " 75.0 %"));
        free(text);
    }
}

static void whole_page(void **state)
{
    (void)state;
    make_page(&page, 4);
    page.header.generation = 3;
    page.figures[1].node[2].value[SHARE_NODE_live_bytes] = 12345;
    assert_true(read_bytes(&page, sizeof page, &process));
    assert_int_equal(process.now.node[2].value[SHARE_NODE_live_bytes], 12345);
    page.header.generation = 0; /* none is complete */
    assert_false(read_bytes(&page, sizeof page, &process));
}

static void truncated(void **state)
{
    (void)state;
    make_page(&page, 64);
    for (size_t length = 0; length < sizeof page; length += 1 + random_next(&seed) % 4096)
        assert_false(length < offsetof(struct share_page, figures[1]) &&
                     read_bytes(&page, length, &process));
    page.header.generation = 1;
    for (size_t length = 0; length < sizeof page; length += 1 + random_next(&seed) % 4096)
        assert_false(read_bytes(&page, length, &process));
}

static void random_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        fill_random(&page, sizeof page / (1 + random_next(&seed) % 100));
        assert_false(read_bytes(&page, sizeof page, &process));
    }
}

/* Each number of the header, wrong, is noticed. */
static void wrong_headers(void **state)
{
    (void)state;
    static const size_t checked[] = {
        offsetof(struct share_header, magic),      offsetof(struct share_header, version),
        offsetof(struct share_header, node_stats), offsetof(struct share_header, class_stats),
        offsetof(struct share_header, pair_stats), offsetof(struct share_header, heaps),
        offsetof(struct share_header, classes),    offsetof(struct share_header, bytes),
    };
    for (size_t i = 0; i < sizeof checked / sizeof checked[0]; i++) {
        make_page(&page, 1);
        ((char *)&page.header)[checked[i]] ^= 1;
        assert_false(read_bytes(&page, sizeof page, &process));
    }
    make_page(&page, 1);
    page.header.pid = -1; /* all processes, to kill */
    assert_false(read_bytes(&page, sizeof page, &process));
}

static void wrong_figures(void **state)
{
    (void)state;
    make_page(&page, 0);
    assert_false(read_bytes(&page, sizeof page, &process));
    make_page(&page, NH_NODES_MAX);
    page.figures[0].slots = NH_NODES_MAX + 1;
    assert_false(read_bytes(&page, sizeof page, &process));
    make_page(&page, 2);
    page.figures[0].node[1].number = -7;
    assert_false(read_bytes(&page, sizeof page, &process));
    make_page(&page, 2); /* two of a name */
    page.figures[0].node[1].number = 0;
    assert_false(read_bytes(&page, sizeof page, &process));
    make_page(&page, 2);
    page.figures[0].cls[7].object_bytes = page.figures[0].cls[6].object_bytes;
    assert_false(read_bytes(&page, sizeof page, &process));
    make_page(&page, 2);
    page.figures[0].node[NH_HEAP_INTERLEAVED].number = 3;
    assert_false(read_bytes(&page, sizeof page, &process));
}

/* Any counters, names and texts at all are printed within bounds. */
static void random_counters(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUNDS / 10; i++) {
        make_page(&page, 1 + (unsigned)(random_next(&seed) % NH_NODES_MAX));
        fill_random(page.header.release, sizeof page.header.release);
        for (unsigned set = 0; set < 2; set++) {
            struct share_figures *figures = &page.figures[set];
            unsigned slots = figures->slots;
            fill_random(figures->node, sizeof figures->node);
            fill_random(figures->cls, sizeof figures->cls);
            fill_random(figures->pair, sizeof figures->pair);
            figures->taken_ns = random_next(&seed);
            for (unsigned slot = 0; slot < slots; slot++)
                figures->node[slot].number =
                    random_next(&seed) % 3 == 0
                        ? SHARE_NO_NODE
                        : (int32_t)(slot * STEP + random_next(&seed) % STEP);
            for (unsigned cls = 0; cls < NH_CLASSES; cls++)
                figures->cls[cls].object_bytes =
                    cls == 0 ? 0
                             : figures->cls[cls - 1].object_bytes + 1 + random_next(&seed) / 128;
            figures->node[NH_HEAP_INTERLEAVED].number =
                random_next(&seed) % 2 == 0 ? SHARE_NO_NODE : SHARE_INTERLEAVED;
        }
        assert_true(read_bytes(&page, sizeof page, &process));
        process.before = page.figures[1];
        process.has_before = i % 2 == 0;
        strcpy(process.command, "evil\033[2J\"\\\n");
        make_printable(process.command);
        make_printable(process.header.release);
        print_all(&process);
    }
}

static void names_of_files(void **state)
{
    (void)state;
    bool unfinished;
    assert_int_equal(share_file_pid("123", &unfinished), 123);
    assert_false(unfinished);
    assert_int_equal(share_file_pid(".123", &unfinished), 123);
    assert_true(unfinished);
    const char *const others[] = {"",   ".",  "..", "0",      "-1",
                                  "+1", " 1", "1x", "1.sock", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(share_file_pid(others[i], &unfinished), 0);
}

/* Of a user there is one: others would be looked at again and again. */
static void names_of_folders(void **state)
{
    (void)state;
    uid_t user;
    assert_true(top_folder_user("nearheap-0", &user));
    assert_int_equal(user, 0);
    assert_true(top_folder_user("nearheap-65534", &user));
    assert_int_equal(user, 65534);
    assert_true(top_folder_user("nearheap-4294967295", &user));
    const char *const others[] = {"",
                                  "nearheap",
                                  "nearheap-",
                                  "nearheap-x",
                                  "nearheap-00065534",
                                  "nearheap-+65534",
                                  "nearheap- 65534",
                                  "nearheap--1",
                                  "nearheap-65534x",
                                  "nearheap-65534 ",
                                  "nearheap-0x1",
                                  "nearheap-4295032830",
                                  "nearheap-99999999999999999999999999999",
                                  "Nearheap-65534"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(top_folder_user(others[i], &user));
}

/* Bytes that end nowhere. */
static void lines(void **state)
{
    (void)state;
    char text[] = "a\033[2J\n\0\t\377~ \n\033";
    make_lines_printable(text, sizeof text - 2);
    assert_memory_equal(text, "a?[2J\n???~ \n\033", sizeof text);
}

static void a_process_as_told(void **state)
{
    (void)state;
    struct proc_stat stat;
    assert_true(
        proc_stat_parse("7 (a) b) c) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 2 0 4711 9 9\n", &stat));
    assert_int_equal(stat.state, 'Z');
    assert_int_equal(stat.threads, 2);
    assert_int_equal(stat.started, 4711);
    assert_false(proc_stat_parse("", &stat));
    assert_false(proc_stat_parse("7 (a) S 1 2 3", &stat));
    assert_true(proc_stat_read((long)getpid(), &stat));
    assert_true(stat.threads >= 1);
}

static const char maps_text[] =
    "7f0000000000 prefer:0 anon=30 dirty=30 N0=20 N1=10 kernelpagesize_kB=4\n"
    "7f1000000000 prefer=static:2 anon=5 dirty=5 N2=5 kernelpagesize_kB=2048\n"
    "7f1000000001 bind:2 anon=1 dirty=1 N0=1 kernelpagesize_kB=4\n"
    "7f2000000000 prefer (many):2 anon=1 dirty=1 N2=1 kernelpagesize_kB=4\n"
    "7f3000000000 interleave:0,2 anon=6 dirty=6 N0=3 N2=3 kernelpagesize_kB=4\n"
    "7f4000000000 bind:0-2 anon=1 dirty=1 N0=1 kernelpagesize_kB=4\n"
    "7f5000000000 default stack anon=2 dirty=2 N7=2 kernelpagesize_kB=4\n"
    "7f6000000000 default file=/a\\040N0=9\\040b mapped=1 N0=1 kernelpagesize_kB=4\n"
    "7f7000000000 prefer:0\n"
    "nonsense\n"
    "bind N0=";

/* Nodes 0 and 2 are slots 0 and 1. */
static void where_memory_is(void **state)
{
    (void)state;
    static struct residence found;
    const uint64_t kib4 = 4096, mib2 = 2 << 20;
    make_page(&page, 2);
    page.figures[0].node[1].number = 2;
    FILE *maps = fmemopen((void *)(uintptr_t)maps_text, sizeof maps_text - 1, "r");
    assert_non_null(maps);
    residence_parse(maps, &page.figures[0], &found);
    fclose(maps);
    assert_true(found.known);
    assert_int_equal(found.bytes[0][0], 20 * kib4);
    assert_int_equal(found.bytes[0][RESIDENCE_OTHERS], 10 * kib4);
    assert_int_equal(residence_all(&found, 0), 30 * kib4);
    assert_int_equal(residence_here(&found, 1), 5 * mib2 + kib4);
    assert_int_equal(found.bytes[1][0], kib4);
    assert_int_equal(found.bytes[NH_HEAP_INTERLEAVED][0], 3 * kib4);
    assert_int_equal(found.bytes[NH_HEAP_INTERLEAVED][1], 3 * kib4);
    assert_int_equal(found.bytes[RESIDENCE_REST][0], 2 * kib4);
    assert_int_equal(found.bytes[RESIDENCE_REST][RESIDENCE_OTHERS], 2 * kib4);
}

static void bars(void **state)
{
    (void)state;
    static struct spark spark;
    char text[SPARK_ROOM];
    spark_write(&spark, true, text);
    assert_int_equal(strspn(text, " "), SPARK_POINTS);
    for (unsigned i = 0; i < 3 * SPARK_POINTS; i++)
        spark_add(&spark, i);
    spark_add(&spark, 0);
    spark_write(&spark, false, text);
    assert_int_equal(strlen(text), SPARK_POINTS);
    assert_int_equal(text[SPARK_POINTS - 1], ' ');
    assert_int_equal(text[SPARK_POINTS - 2], '#');
    spark_write(&spark, true, text);
    assert_int_equal(strlen(text), 3 * (SPARK_POINTS - 1) + 1);
}

static void numbers(void **state)
{
    (void)state;
    char text[TOP_NUMBER_ROOM];
    top_write_bytes(1023, text);
    assert_string_equal(text, "1023");
    top_write_bytes(1536, text);
    assert_string_equal(text, "1.5K");
    top_write_bytes((1 << 20) - 1, text);
    assert_string_equal(text, "1.0M");
    top_write_bytes(UINT64_MAX, text);
    assert_string_equal(text, "16.0E");
    top_write_rate(999, text);
    assert_string_equal(text, "999");
    top_write_rate(12345, text);
    assert_string_equal(text, "12.3k");
    top_write_share(0.998, text);
    assert_string_equal(text, "99.8 %");
    top_write_share(top_hit_rate(0, 0), text);
    assert_string_equal(text, "-");
    assert_true(top_hit_rate(1, 4) == 0.75);
    assert_true(top_depot_rate(4, 1) == 0.25);
    assert_true(top_rate(10, 30, 2) == 10);
    assert_true(top_rate(30, 10, 2) == 0 && top_rate(0, 10, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_page),
        cmocka_unit_test(truncated),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(wrong_headers),
        cmocka_unit_test(wrong_figures),
        cmocka_unit_test(random_counters),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test(names_of_folders),
        cmocka_unit_test(lines),
        cmocka_unit_test(a_process_as_told),
        cmocka_unit_test(where_memory_is),
        cmocka_unit_test(bars),
        cmocka_unit_test(numbers),
        cmocka_unit_test(interleaved_memory_has_a_name),
        cmocka_unit_test(shares_are_of_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
