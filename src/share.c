/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share.c - see share.h.
 */
#include "share.h"

#include "attendant.h"
#include "log.h"
#include "numa/topology.h"
#include "os.h"
#include "own_file.h"
#include "proc_stat.h"
#include "process.h"
#include "share_clean.h"
#include "share_file.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_MODE 0600

static struct share_page *page; /* the attendant's; NULL: there is none */

static char path[SHARE_PATH_ROOM + SHARE_NAME_ROOM];
static struct own_file page_file = {.path = path};

/* ---- Filling ---- */

static void fill_node(struct share_node *row, struct heap *heap)
{
    row->number = SHARE_NO_NODE;
    if (heap == NULL)
        return;
    struct nh_node_stats stats;
    stats_of_heap(heap, &stats);
#define STORE(name, unit, meaning) row->value[SHARE_NODE_##name] = stats.name;
    NH_NODE_STATS(STORE)
#undef STORE
    /* Whose heap it is, wherever its memory was moved. */
    row->number =
        heap->slot == NH_HEAP_INTERLEAVED ? SHARE_INTERLEAVED : topology_now()->os_node[heap->slot];
}

static void fill_pair(struct share_pair *row, unsigned home, unsigned other)
{
    struct nh_pair_stats stats;
    stats_of_pair(home, other, &stats);
#define STORE(name, unit, meaning) row->value[SHARE_PAIR_##name] = stats.name;
    NH_PAIR_STATS(STORE)
#undef STORE
}

static void fill(struct share_figures *figures)
{
    figures->taken_ns = os_clock_ns(CLOCK_MONOTONIC);
    unsigned slots = topology_now()->slots;
    figures->slots = slots;
    for (unsigned slot = 0; slot < slots; slot++)
        fill_node(&figures->node[slot], heap_if_exists(slot));
    fill_node(&figures->node[NH_HEAP_INTERLEAVED], heap_if_exists(NH_HEAP_INTERLEAVED));
    stats_of_classes(figures->cls);
    for (unsigned i = 0; slots > 1 && i < slots * slots; i++)
        fill_pair(&figures->pair[i / slots][i % slots], i / slots, i % slots);
}

static void publish(void)
{
    uint64_t next = atomic_load_explicit(&page->header.generation, memory_order_relaxed) + 1;
    /* What follows comes after the last increment, which a reader may have seen. */
    atomic_thread_fence(memory_order_seq_cst);
    fill(&page->figures[next % 2]);
    atomic_store_explicit(&page->header.generation, next, memory_order_release);
}

void share_beat(void)
{
    if (page == NULL)
        return;
    publish();
    share_clean_beat();
}

/* ---- The file ---- */

/* Memory for what will be written: a write to a page of a file system that is full would
 * be a signal. */
static int reserve(int fd)
{
    unsigned slots = topology_now()->slots;
    const size_t from = offsetof(struct share_figures, node[NH_HEAP_INTERLEAVED]);
    int error = ftruncate(fd, sizeof(struct share_page)) == 0 ? 0 : errno;
    if (error == 0)
        error = posix_fallocate(fd, 0, sizeof(struct share_header));
    for (unsigned set = 0; set < 2; set++) {
        const struct {
            size_t at, bytes;
        } parts[] = {
            {0, offsetof(struct share_figures, node[slots])},
            {from, offsetof(struct share_figures, pair) - from}, /* size classes as well */
            {offsetof(struct share_figures, pair), slots * sizeof(struct share_pair[NH_NODES_MAX])},
        };
        for (size_t i = 0; error == 0 && i < sizeof parts / sizeof parts[0]; i++)
            error = posix_fallocate(
                fd, (off_t)(offsetof(struct share_page, figures[set]) + parts[i].at),
                (off_t)parts[i].bytes);
    }
    return error;
}

static void write_header(struct share_page *at)
{
    struct proc_stat stat = {0};
    (void)proc_stat_read((long)getpid(), &stat);
    at->header = (struct share_header){
        .magic = SHARE_MAGIC,
        .version = SHARE_VERSION,
        .node_stats = SHARE_NODE_VALUES,
        .class_stats = SHARE_CLASS_VALUES,
        .pair_stats = SHARE_PAIR_VALUES,
        .heaps = NH_HEAPS,
        .classes = NH_CLASSES,
        .bytes = sizeof(struct share_page),
        .pid = getpid(),
        .pid_namespace = share_file_namespace(),
        .started = stat.started,
        .period_ms = ATTENDANT_BEAT_MS,
    };
    struct text release = {.at = at->header.release, .room = sizeof at->header.release};
    text_add(&release, "%s", nh_version());
}

/* Maps a new file, with its first figures, and gives it its name then; 0 or an error. */
static int make_file(int folder, int fd, const char *unfinished, const char *name)
{
    int error = reserve(fd);
    if (error != 0)
        return error;
    void *at = mmap(NULL, sizeof(struct share_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return errno;
    /* A child has a page of its own. */
    (void)madvise(at, sizeof(struct share_page), MADV_DONTFORK);
    page = at;
    write_header(page);
    publish();
    if (renameat(folder, unfinished, folder, name) == 0)
        return 0;
    error = errno;
    (void)munmap(at, sizeof(struct share_page));
    page = NULL;
    return error;
}

static int make_page(int folder)
{
    char buffer[SHARE_NAME_ROOM];
    struct text name = {.at = buffer, .room = sizeof buffer};
    text_add(&name, "%c%ld", SHARE_UNFINISHED, (long)getpid());
    (void)unlinkat(folder, buffer, 0);
    int fd = openat(folder, buffer, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PAGE_MODE);
    if (fd < 0)
        return errno;
    int error = make_file(folder, fd, buffer, buffer + 1);
    if (error != 0)
        (void)unlinkat(folder, buffer, 0);
    close(fd);
    return error;
}

/* In a place; 0 or an error. */
static int share_in(const char *place)
{
    char folder_path[SHARE_PATH_ROOM];
    share_file_folder_path(place, geteuid(), folder_path);
    struct text text = {.at = path, .room = sizeof path};
    text_add(&text, "%s/%ld", folder_path, (long)getpid());
    if (*folder_path == '\0' || *path == '\0') /* what would be removed is another file */
        return ENOMEM;
    int folder = share_file_folder(place, geteuid(), true);
    if (folder < 0)
        return errno;
    int error = make_page(folder);
    close(folder);
    return error;
}

void share_begin(void)
{
    int error = 0;
    /* Servers may have hundreds of children: each of them would look at all files. */
    if (!process_is_forked())
        share_clean_all();
    for (unsigned i = 0; i < SHARE_PLACES; i++) {
        error = share_in(share_places[i]);
        if (error == 0) {
            own_file_is_made(&page_file);
            return;
        }
    }
    char room[LOG_ERROR_ROOM];
    log_line(LOG_ERROR, "no page of counters is shared (NEARHEAP_SHARE): cannot make %s: %s", path,
             log_error(error, room));
}

bool share_is_there(void)
{
    return page != NULL;
}

void share_end(void)
{
    own_file_end(&page_file);
}

void share_fork_child(void)
{
    page = NULL;
    own_file_fork_child(&page_file);
}
