/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top.c - nearheap-top: the counters of processes that run on nearheap and share them
 * (NEARHEAP_SHARE=1), on a screen, as text, as JSON, or for Prometheus.
 *
 * It reads a file that the process writes each second, and what the kernel tells of it;
 * the process does not notice.
 */
#include "about.h"
#include "container.h"
#include "log.h"
#include "output.h"
#include "top_export.h"
#include "top_list.h"
#include "top_screen.h"
#include "top_text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATUS_NO_PAGE 1
#define STATUS_TROUBLE 2
#define INTERVAL_LEAST 0.1
#define INTERVAL_MOST  3600
#define CLASSES_SHOWN  12
#define PATH_ROOM      4096
#define NS_A_MS        1000000L
#define WAIT_MS        50 /* for newer figures, at a time */
#define WAITS          50
#define PID_MOST       INT32_MAX
/* Of --output: its reader is another user. */
#define NEW_FILE_MODE 0644
#define PERMISSIONS   0777

enum form { SCREEN, TEXT, JSON, PROMETHEUS };

struct request {
    enum form form;
    bool all, residence;
    long pid;
    double interval;
    const char *output; /* NULL: standard output */
};

static void __attribute__((noreturn)) misused(const char *what, const char *argument)
{
    fprintf(stderr, "nearheap-top: %s '%s'; see --help\n", what, argument);
    exit(STATUS_TROUBLE);
}

/* The letter, if it is one, may stand anywhere among others. */
static void __attribute__((noreturn)) misused_option(const char *argument, int letter)
{
    const char option[] = {'-', (char)letter, '\0'};
    misused("unknown argument", letter != 0 ? option : argument);
}

static void print_help(void)
{
    puts(
        "usage: nearheap-top [OPTION ...] PID\n"
        "       nearheap-top [OPTION ...] [--all]\n\n"
        "Shows what a process on nearheap does with its memory, node by node; or all processes\n"
        "of this user (root: of all users), a line each.  They share counters with it when they\n"
        "were started with NEARHEAP_SHARE=1, and do not notice that somebody looks.\n\n"
        "  --all           all processes, a line each; so it is without a PID\n"
        "  --once          print tables once; that is done, too, where there is no terminal\n"
        "  --json          print all counters as JSON: an object, with --all a list\n"
        "  --prometheus    print all counters in Prometheus' text format\n"
        "  --output FILE   put what is printed there, whole or not at all, as the textfile\n"
        "                  collector of node-exporter needs it; a new file is readable for all,\n"
        "                  one that is there keeps its mode; a pipe or device is written to\n"
        "  --interval S    look every S seconds (default 1)\n"
        "  --no-residence  do not ask the kernel where the memory is (/proc/PID/numa_maps): of\n"
        "                  hundreds of gigabytes that takes seconds\n"
        "  -h, --help      this text\n"
        "  --version       print the version\n\n"
        "Keys: q or control-C quit, n nodes, c size classes, s another order of classes, t totals\n"
        "or rates in the matrix of who frees whose memory, arrows and page keys to scroll.\n\n"
        "Columns: in use = live objects + cached ones + room in their spans; cached: free objects\n"
        "in caches and magazines; free: pages that are resident, released: pages that are not;\n"
        "borrowed of other nodes and lent to them.  hits: allocations on the fast path, at least;\n"
        "depot: refills of a cache by a full magazine; remote: objects that other nodes' threads\n"
        "freed; resident and elsewhere: memory placed on the node, and how much of it is not\n"
        "there.  K, M, G: KiB, MiB, GiB.  Rates and shares are of the last interval, shares of\n"
        "all time where nothing was counted in it.\n\n"
        "Status: 0, 1 when the process shares no page, 2 for a wrong argument\n"
        "or what cannot be written.");
#ifndef NH_HAVE_NCURSES
    puts("\nThis one was built without ncurses: it has no screen, and prints once.");
#endif
}

static long parse_pid(const char *text)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || errno != 0 || pid > PID_MOST)
        misused("no process number:", text);
    return pid;
}

static double parse_interval(const char *text)
{
    char *end;
    double interval = strtod(text, &end);
    if (end == text || *end != '\0' || !(interval >= INTERVAL_LEAST && interval <= INTERVAL_MOST))
        misused("no number of seconds from 0.1 to 3600:", text);
    return interval;
}

static void parse(int argc, char **argv, struct request *request)
{
    /* All of them are less than any letter. */
    enum { ALL = 1, ONCE, AS_JSON, AS_PROMETHEUS, OUTPUT, INTERVAL, NO_RESIDENCE, HELP, VERSION };
    static const struct option options[] = {
        {"all", no_argument, NULL, ALL},
        {"once", no_argument, NULL, ONCE},
        {"json", no_argument, NULL, AS_JSON},
        {"prometheus", no_argument, NULL, AS_PROMETHEUS},
        {"output", required_argument, NULL, OUTPUT},
        {"interval", required_argument, NULL, INTERVAL},
        {"no-residence", no_argument, NULL, NO_RESIDENCE},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {NULL, 0, NULL, 0},
    };
    *request = (struct request){.residence = true, .interval = 1};
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, ":h", options, NULL)) != -1;)
        switch (found) {
        case ALL:
            request->all = true;
            break;
        case ONCE:
        case AS_JSON:
        case AS_PROMETHEUS:
            if (request->form != SCREEN)
                misused("another form was asked for before", argv[optind - 1]);
            request->form = found == ONCE ? TEXT : found == AS_JSON ? JSON : PROMETHEUS;
            break;
        case OUTPUT:
            request->output = optarg;
            break;
        case INTERVAL:
            request->interval = parse_interval(optarg);
            break;
        case NO_RESIDENCE:
            request->residence = false;
            break;
        case HELP:
        case 'h':
            print_help();
            exit(0);
        case VERSION:
            print_version("nearheap-top");
            exit(0);
        case ':':
            misused("a value is missing after", argv[optind - 1]);
        default:
            misused_option(argv[optind - 1], optopt > VERSION ? optopt : 0);
        }
    if (argc > optind + 1)
        misused("more than one process:", argv[optind + 1]);
    if (argc == optind)
        request->all = true;
    else if (request->all)
        misused("--all and a process:", argv[optind]);
    else
        request->pid = parse_pid(argv[optind]);
    if (request->form == SCREEN &&
        (request->output != NULL || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
        request->form = TEXT;
}

/* ---- Once ---- */

static bool all_have_before(const struct top_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->item[i]->has_before)
            return false;
    return true;
}

/* Rates need two sets of figures; of processes that are stopped there is one. */
static void wait_for_rates(struct top_list *list)
{
    for (unsigned i = 0; i < WAITS && !all_have_before(list); i++) {
        struct timespec pause = {.tv_nsec = WAIT_MS * NS_A_MS};
        nanosleep(&pause, NULL);
        top_list_refresh(list);
    }
}

static void print_text(FILE *to, const struct request *request, struct top_list *list)
{
    static struct residence residence;
    if (list->count == 0) {
        fputs("no process shares its counters: start them with NEARHEAP_SHARE=1\n", to);
        return;
    }
    wait_for_rates(list);
    if (request->all) {
        top_print_list_head(to);
        for (size_t i = 0; i < list->count; i++)
            top_print_list_line(to, list->item[i]);
        return;
    }
    const struct top_process *process = list->item[0];
    if (request->residence)
        residence_read(request->pid, &process->now, &residence);
    top_print_head(to, process);
    top_print_nodes(to, process, &residence);
    top_print_matrix(to, process, false);
    top_print_residence(to, process, &residence);
    top_print_classes(to, process, TOP_BY_BYTES, CLASSES_SHOWN);
}

static void print_json(FILE *to, const struct request *request, const struct top_sample *samples,
                       size_t count)
{
    if (request->all)
        fputs("[", to);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(",\n", to);
        top_print_json(to, &samples[i]);
    }
    fputs(request->all ? "]\n" : "\n", to);
}

static void print_samples(FILE *to, const struct request *request, const struct top_list *list)
{
    struct top_sample *samples = calloc(list->count + 1, sizeof *samples);
    struct residence *residences = calloc(list->count + 1, sizeof *residences);
    if (samples == NULL || residences == NULL)
        abort();
    for (size_t i = 0; i < list->count; i++) {
        struct top_process *process = list->item[i];
        samples[i] = (struct top_sample){.process = process, .residence = &residences[i]};
        if (request->residence)
            residence_read((long)process->header.pid, &process->now, &residences[i]);
    }
    if (request->form == JSON)
        print_json(to, request, samples, list->count);
    else
        top_print_prometheus(to, samples, list->count);
    free(samples);
    free(residences);
}

static bool print_to(FILE *to, const struct request *request, struct top_list *list)
{
    if (request->form == TEXT)
        print_text(to, request, list);
    else
        print_samples(to, request, list);
    bool good = ferror(to) == 0;
    errno = EIO; /* of what failed before */
    return (to == stdout ? fflush(to) : fclose(to)) == 0 && good;
}

/* Who reads the file meanwhile finds the old one, or the new one; who may, does not change. */
static bool replace(const char *name, mode_t mode, const struct request *request,
                    struct top_list *list)
{
    char path[PATH_ROOM];
    struct text text = {.at = path, .room = sizeof path};
    text_add(&text, "%s.XXXXXX", name);
    if (text_is_full(&text)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return false;
    (void)fchmod(fd, mode); /* not every file system has modes */
    FILE *to = fdopen(fd, "w");
    bool done = to != NULL && print_to(to, request, list) && rename(path, name) == 0;
    int error = errno;
    if (!done)
        (void)unlink(path);
    errno = error;
    return done;
}

/* A device or a pipe stays what it is. */
static bool print_into(const struct request *request, struct top_list *list)
{
    FILE *to = fopen(request->output, "we");
    return to != NULL && print_to(to, request, list);
}

static int print_to_file(const struct request *request, struct top_list *list)
{
    char target[PATH_ROOM]; /* PATH_MAX, as realpath wants it */
    struct stat old;
    bool done;
    if (stat(request->output, &old) == 0)
        done = !S_ISREG(old.st_mode)
                   ? print_into(request, list)
                   : realpath(request->output, target) != NULL &&
                         replace(target, old.st_mode & PERMISSIONS, request, list);
    else if (lstat(request->output, &old) == 0) /* a link to nothing, which stays one */
        done = print_into(request, list);
    else
        done = replace(request->output, NEW_FILE_MODE, request, list);
    if (done)
        return 0;
    fprintf(stderr, "nearheap-top: cannot write %s: %s\n", request->output, strerror(errno));
    return STATUS_TROUBLE;
}

static int print_once(const struct request *request, struct top_list *list)
{
    if (request->output != NULL)
        return print_to_file(request, list);
    (void)print_to(stdout, request, list); /* output_end looks at it */
    return 0;
}

/* ---- One or all ---- */

static int complain(long pid, enum top_found found)
{
    fprintf(stderr, "nearheap-top: ");
    switch (found) {
    case TOP_NO_PROCESS:
        fprintf(stderr, "there is no process %ld\n", pid);
        break;
    case TOP_BAD:
        fprintf(stderr,
                "the page of process %ld is not one of this version: use the nearheap-top that was "
                "installed with its library\n",
                pid);
        break;
    case TOP_DENIED:
        fprintf(stderr,
                "process %ld shares no counters that you may read: they are for its user and "
                "root; start it with NEARHEAP_SHARE=1\n",
                pid);
        break;
    default:
        if (container_has(pid))
            fprintf(stderr, "process %ld " CONTAINER_SAID "\n", pid);
        else
            fprintf(stderr, "process %ld shares no counters: start it with NEARHEAP_SHARE=1\n",
                    pid);
    }
    return STATUS_NO_PAGE;
}

static void tell_left_out(const struct top_list *list)
{
    if (list->left_out != 0)
        fprintf(stderr,
                "nearheap-top: %zu processes are left out: more than %d of one user share "
                "counters; give their numbers, one at a time\n",
                list->left_out, TOP_LIST_OF_USER);
}

#ifdef NH_HAVE_NCURSES
static int show(struct request *request, struct top_list *list)
{
    const struct top_screen screen = {.list = list,
                                      .all = request->all,
                                      .residence = request->residence,
                                      .interval = request->interval};
    if (top_screen_run(&screen))
        return 0;
    tell_left_out(list);
    request->form = TEXT;
    return print_once(request, list);
}
#else
static int show(struct request *request, struct top_list *list)
{
    fputs("nearheap-top: built without ncurses: there is no screen, this is --once\n", stderr);
    tell_left_out(list);
    request->form = TEXT;
    return print_once(request, list);
}
#endif

/* Each process takes one: many of one user's must leave some for others'. */
static void take_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct top_list list;
    struct request request;
    output_begin("nearheap-top", STATUS_TROUBLE);
    parse(argc, argv, &request);
    if (request.all) {
        take_descriptors();
        top_list_find(&list);
        if (request.form != SCREEN)
            tell_left_out(&list);
    } else {
        enum top_found found = top_list_add(&list, request.pid);
        if (found != TOP_FOUND)
            return complain(request.pid, found);
    }
    int status = request.form == SCREEN ? show(&request, &list) : print_once(&request, &list);
    top_list_clear(&list);
    return status;
}
