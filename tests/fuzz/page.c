/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page.c - what another process may put where nearheap-top looks: its page of counters, with any
 * words changed, and lines like those of its memory map.  Whatever is taken for a page is
 * printed in all forms, of which each has to be text, and JSON and metrics well-formed.
 *
 * An input is words to change, eleven bytes each: one that is not zero, two that say where, and
 * the word.  Behind a zero it is the memory map, whose first line is also what the process calls
 * itself.
 */
#include "fuzz.h"

#include "share_file.h"
#include "tools/printable.h"
#include "tools/top_export.h"
#include "tools/top_spark.h"
#include "tools/top_text.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHANGE_BYTES  11 /* a mark, a place, a word */
#define CLASSES_SHOWN 20

static struct share_page sound;
static int file = -1;

/* As of a process with some nodes. */
static void make_figures(struct share_figures *figures)
{
    enum { NODES = 3 };
    figures->slots = NODES;
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        figures->node[slot].number = slot < NODES ? (int32_t)slot : SHARE_NO_NODE;
    figures->node[NH_HEAP_INTERLEAVED].number = SHARE_INTERLEAVED;
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        figures->cls[cls].object_bytes = cls * 16;
    figures->node[1].value[SHARE_NODE_in_use_bytes] = 1 << 20;
    figures->cls[1].value[SHARE_CLASS_live_bytes] = 1 << 10;
    figures->pair[1][2].value[SHARE_PAIR_frees] = 7;
}

static void make_page(void)
{
    sound.header = (struct share_header){
        .magic = SHARE_MAGIC,
        .version = SHARE_VERSION,
        .node_stats = SHARE_NODE_VALUES,
        .class_stats = SHARE_CLASS_VALUES,
        .pair_stats = SHARE_PAIR_VALUES,
        .heaps = NH_HEAPS,
        .classes = NH_CLASSES,
        .bytes = sizeof(struct share_page),
        .pid = getpid(),
        .release = "0.1.0",
        .period_ms = 1000,
        .generation = 2,
    };
    make_figures(&sound.figures[0]);
    make_figures(&sound.figures[1]);
    file = memfd_create("page", MFD_CLOEXEC);
    FUZZ_CHECK(file >= 0 && ftruncate(file, sizeof(sound)) == 0);
}

/* Changes words; returns what of the input is left. */
static size_t change(const uint8_t *data, size_t size)
{
    size_t at = 0;
    FUZZ_CHECK(pwrite(file, &sound, sizeof(sound), 0) == (ssize_t)sizeof(sound));
    for (; size - at >= CHANGE_BYTES && data[at] != 0; at += CHANGE_BYTES) {
        uint16_t place;
        memcpy(&place, data + at + 1, sizeof(place));
        off_t offset = (off_t)(place * sizeof(uint64_t) % sizeof(sound));
        FUZZ_CHECK(pwrite(file, data + at + 1 + sizeof(place), sizeof(uint64_t), offset) ==
                   (ssize_t)sizeof(uint64_t));
    }
    return at < size ? at + 1 : size;
}

/* Whether a name may look like a number that is none. */
static bool is_like_none(const char *name)
{
    return strstr(name, "nan") != NULL || strstr(name, "inf") != NULL;
}

/* Numbers that are none. */
static void check_numbers(const char *text, const struct top_process *process)
{
    if (is_like_none(process->command) || is_like_none(process->header.release))
        return;
    FUZZ_CHECK(strstr(text, "nan") == NULL && strstr(text, " inf") == NULL &&
               strstr(text, "-inf") == NULL);
}

/* Strings end in their line, and braces and brackets are in pairs but for those in strings. */
static void check_structure(const char *text)
{
    long braces = 0, brackets = 0;
    bool string = false;
    for (; *text != '\0'; text++) {
        FUZZ_CHECK(!string || *text != '\n');
        if (string && *text == '\\') {
            text++;
            FUZZ_CHECK(*text == '"' || *text == '\\');
        } else if (*text == '"') {
            string = !string;
        } else if (!string) {
            braces += (*text == '{') - (*text == '}');
            brackets += (*text == '[') - (*text == ']');
            FUZZ_CHECK(braces >= 0 && brackets >= 0);
        }
    }
    FUZZ_CHECK(!string && braces == 0 && brackets == 0);
}

static void print_tables(FILE *to, struct top_process *process, struct residence *residence)
{
    top_print_head(to, process);
    top_print_nodes(to, process, residence);
    top_print_matrix(to, process, false);
    top_print_matrix(to, process, true);
    top_print_residence(to, process, residence);
    for (int order = 0; order < TOP_ORDERS; order++)
        top_print_classes(to, process, (enum top_order)order, CLASSES_SHOWN);
    top_print_list_head(to);
    top_print_list_line(to, process);
}

static void print_json(FILE *to, struct top_process *process, struct residence *residence)
{
    top_print_json(to, &(struct top_sample){.process = process, .residence = residence});
}

static void print_metrics(FILE *to, struct top_process *process, struct residence *residence)
{
    top_print_prometheus(to, &(struct top_sample){.process = process, .residence = residence}, 1);
}

static void check_form(void (*print)(FILE *to, struct top_process *process,
                                     struct residence *residence),
                       struct top_process *process, struct residence *residence)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    FUZZ_CHECK(to != NULL);
    print(to, process, residence);
    FUZZ_CHECK(fclose(to) == 0);
    fuzz_check_text(text, length);
    check_numbers(text, process);
    if (print != print_tables)
        check_structure(text);
    free(text);
}

/* As top_screen.c draws the last minute, of every counter and what it is per second. */
static void check_sparks(const struct top_process *process)
{
    uint64_t now[SHARE_NODE_VALUES], before[SHARE_NODE_VALUES];
    struct spark spark = {.next = 0};
    char bars[SPARK_ROOM], number[TOP_NUMBER_ROOM];
    top_sum_nodes(&process->now, now);
    top_sum_nodes(&process->before, before);
    for (unsigned i = 0; i < SHARE_NODE_VALUES; i++) {
        double rate = top_rate(before[i], now[i], top_seconds(process));
        top_write_rate(rate, number);
        fuzz_check_text(number, strlen(number));
        spark_add(&spark, (double)now[i]);
        spark_add(&spark, rate);
    }
    spark_write(&spark, false, bars);
    FUZZ_CHECK(strlen(bars) == SPARK_POINTS);
    fuzz_check_text(bars, strlen(bars));
    spark_write(&spark, true, bars);
    FUZZ_CHECK(strlen(bars) < SPARK_ROOM);
}

static void print_all(struct top_process *process, struct residence *residence)
{
    check_form(print_tables, process, residence);
    check_form(print_json, process, residence);
    check_form(print_metrics, process, residence);
    check_sparks(process);
}

/* As top_page.c does with what it finds in /proc. */
static void read_command(const uint8_t *data, size_t size, struct top_process *process)
{
    fuzz_text(data, size, process->command, sizeof(process->command) - 1);
    process->command[strcspn(process->command, "\n")] = '\0';
    make_printable(process->command);
}

static void read_map(const uint8_t *data, size_t size, const struct share_figures *figures,
                     struct residence *residence)
{
    *residence = (struct residence){.known = false};
    if (size == 0)
        return;
    FILE *maps = fmemopen((void *)(uintptr_t)data, size, "r");
    FUZZ_CHECK(maps != NULL);
    residence_parse(maps, figures, residence);
    fclose(maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct top_process process;
    static struct residence residence;
    uint64_t generation;
    if (file < 0)
        make_page();
    size_t used = change(data, size);
    memset(&process, 0, sizeof(process));
    process.fd = file;
    if (!share_file_header(file, &process.header) ||
        !top_copy_figures(file, &process.now, &generation))
        return 0;
    make_printable(process.header.release);
    read_command(data + used, size - used, &process);
    read_map(data + used, size - used, &process.now, &residence);
    print_all(&process, &residence);
    /* Newer figures, as they were before. */
    process.header.generation = generation + 1;
    if (top_refresh(&process))
        print_all(&process, &residence);
    return 0;
}
