/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_program.c - a program whose heap is told from outside what to do, and which obeys lines
 * on standard input, so that the effect shows.  To each line the answer is one line:
 *
 *   ready        it began
 *   cycle        allocates and frees many small objects
 *   hold BYTES   allocates them on the last node, and touches them
 *   drop         frees those
 *   large        allocates 2 MiB and frees them: "interleaved" or the node
 *   aligned      the same of few bytes at a large alignment
 *   map          allocates 64 MiB, which are not freed: their address
 *   bad          frees what malloc did not return
 *   fork         the child's number; from then on the child obeys, until "end", and then
 *                the parent again
 *   close        closes all descriptors but the first three, as daemons do
 *   take         listens itself, with the number of the descriptor at which the library does:
 *                the end of the abstract address
 *   hold-up      "held up" while no command goes on that takes locks; when one with a file has
 *                come, its file and the connections become the program's: "done"; "missed"
 *                when none came for some seconds
 *   written      what has come into those since: "nothing" or "something"
 *   accept       "a client" or "nobody", who waits there
 *   end
 */
#include "family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nearheap.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CYCLE_COUNT 4000
#define CYCLE_SIZE  640
#define HOLD_PIECE  ((size_t)128 << 10)
#define HOLD_MOST   4096
#define LARGE       ((size_t)2 << 20)
#define ALIGNED     ((size_t)5000)
#define ALIGNED_TO  ((size_t)64 << 10)
#define MAPPED      ((size_t)64 << 20)
#define DESCRIPTORS 1024
#define HOLD_UP_S   5 /* for a command to come */
#define LINE_ROOM   64
#define STAT_ROOM   1024
#define FIRST_OTHER 3
#define BACKLOG     8

static char *held[HOLD_MOST];
static size_t held_count;

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static void cycle(void)
{
    static void *objects[CYCLE_COUNT];
    for (size_t i = 0; i < CYCLE_COUNT; i++)
        objects[i] = malloc(CYCLE_SIZE);
    for (size_t i = 0; i < CYCLE_COUNT; i++)
        free(objects[i]);
    say("done");
}

static void hold(size_t bytes)
{
    int last = nh_node_count() - 1;
    for (; bytes >= HOLD_PIECE && held_count < HOLD_MOST; bytes -= HOLD_PIECE) {
        char *piece = nh_malloc_on_node(HOLD_PIECE, last);
        if (piece == NULL)
            break;
        memset(piece, 1, HOLD_PIECE);
        held[held_count++] = piece;
    }
    say(bytes < HOLD_PIECE ? "done" : "no memory");
}

static void drop(void)
{
    while (held_count > 0)
        free(held[--held_count]);
    say("done");
}

static void tell_node(void *object)
{
    errno = 0;
    int node = nh_node_of(object);
    printf(node < 0 && errno == ENODATA ? "interleaved\n" : "%d\n", node);
    fflush(stdout);
    free(object);
}

static void large(void)
{
    tell_node(malloc(LARGE));
}

static void aligned(void)
{
    tell_node(aligned_alloc(ALIGNED_TO, ALIGNED));
}

static void map(void)
{
    printf("%" PRIxPTR "\n", (uintptr_t)malloc(MAPPED));
    fflush(stdout);
}

static void bad(void)
{
    static char not_malloced[CYCLE_SIZE];
    char *volatile pointer = not_malloced; /* which the compiler need not know */
    free(pointer);
    say("done");
}

static void fork_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        printf("%ld\n", (long)getpid());
        fflush(stdout);
        return;
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    say("done");
}

static void close_others(void)
{
    for (int fd = FIRST_OTHER; fd < DESCRIPTORS; fd++)
        syscall(SYS_close, fd); /* ThreadSanitizer takes the other for a race, as it is */
    say("done");
}

static int taken = -1;

static void take(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family; /* the kernel finds one that is free */
    int own = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int listens = 0;
    for (int fd = FIRST_OTHER; fd < own && !listens; fd++) {
        socklen_t room = sizeof listens;
        taken = fd;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &room) != 0)
            listens = 0;
    }
    if (!listens || bind(own, (struct sockaddr *)&address, length) != 0 ||
        listen(own, BACKLOG) != 0) {
        say("no listener");
        return;
    }
    length = sizeof address;
    (void)getsockname(own, (struct sockaddr *)&address, &length);
    syscall(SYS_dup3, own, taken, O_CLOEXEC); /* as above */
    close(own);
    printf("%.*s\n", (int)(length - offsetof(struct sockaddr_un, sun_path) - 1),
           address.sun_path + 1);
    fflush(stdout);
}

static void accept_client(void)
{
    int client = accept(taken, NULL, NULL);
    say(client >= 0 ? "a client" : "nobody");
    if (client >= 0)
        close(client);
}

/* ---- Descriptors that change while a command is carried out ---- */

static bool holds_up;
static int ours_file = -1, ours_socket = -1, ours_end = -1; /* of what they became */

/* Whether the one other thread waits for something. */
static bool other_waits(void)
{
    char path[LINE_ROOM], text[STAT_ROOM], state = 'R';
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        long thread = strtol(entry->d_name, NULL, 10);
        snprintf(path, sizeof path, "/proc/self/task/%ld/stat", thread);
        FILE *file = thread > 0 && thread != (long)gettid() ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fgets(text, sizeof text, file) != NULL && strrchr(text, ')') != NULL)
            state = strrchr(text, ')')[2];
        fclose(file);
    }
    if (tasks != NULL)
        closedir(tasks);
    return state == 'S';
}

static bool is_file(int fd)
{
    struct stat status;
    /* What fstat does; ThreadSanitizer takes that for a race, as it is. */
    return fstatat(fd, "", &status, AT_EMPTY_PATH) == 0 && S_ISREG(status.st_mode);
}

static bool is_connection(int fd)
{
    int listens = 0;
    socklen_t room = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &room) == 0 && !listens;
}

static time_t seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* fork's, before the library's: it has all locks.  The other thread may be in need of one before
 * it asks whether there is a command: then it never has the file. */
static void while_all_is_locked(void)
{
    if (!holds_up)
        return;
    int pair[2], file = FIRST_OTHER;
    time_t end = seconds() + HOLD_UP_S;
    say("held up");
    while (!is_file(file) || !other_waits()) {
        file = file + 1 < DESCRIPTORS ? file + 1 : FIRST_OTHER;
        if (seconds() > end)
            return;
    }
    ours_file = memfd_create("file", MFD_CLOEXEC);
    if (ours_file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    ours_end = fcntl(pair[0], F_DUPFD_CLOEXEC, DESCRIPTORS);
    ours_socket = fcntl(pair[1], F_DUPFD_CLOEXEC, DESCRIPTORS);
    close(pair[0]);
    close(pair[1]);
    syscall(SYS_dup3, ours_file, file, O_CLOEXEC);
    for (int fd = FIRST_OTHER; fd < DESCRIPTORS; fd++)
        if (is_connection(fd))
            syscall(SYS_dup3, ours_socket, fd, O_CLOEXEC);
}

/* Before any library's constructor: what was there before the library's handlers runs while it
 * has its locks. */
static void come_first(void)
{
    (void)pthread_atfork(while_all_is_locked, NULL, NULL);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = come_first;

static void hold_up(void)
{
    holds_up = true;
    pid_t child = fork();
    if (child == 0)
        _exit(EXIT_SUCCESS);
    holds_up = false;
    (void)waitpid(child, NULL, 0);
    say(ours_socket >= 0 ? "done" : "missed");
}

static void written(void)
{
    char byte;
    struct stat status;
    bool nothing = fstat(ours_file, &status) == 0 && status.st_size == 0 &&
                   recv(ours_end, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    say(nothing ? "nothing" : "something");
}

int main(void)
{
    static const struct {
        const char *word;
        void (*run)(void);
    } orders[] = {
        {"cycle\n", cycle},     {"drop\n", drop},
        {"large\n", large},     {"aligned\n", aligned},
        {"map\n", map},         {"bad\n", bad},
        {"fork\n", fork_child}, {"close\n", close_others},
        {"take\n", take},       {"accept\n", accept_client},
        {"hold-up\n", hold_up}, {"written\n", written},
    };
    char line[LINE_ROOM];
    /* One byte at a time is read, so that what follows is a child's, if there is one. */
    setvbuf(stdin, NULL, _IONBF, 0);
    say("ready");
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
        if (strncmp(line, "hold ", 5) == 0)
            hold(strtoul(line + 5, NULL, 10));
        for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
            if (strcmp(line, orders[i].word) == 0)
                orders[i].run();
    }
    return EXIT_SUCCESS;
}
