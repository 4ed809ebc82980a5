/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * memcached_load.c - load on a memcached: connections of several threads set, get,
 * append and delete items of all sizes, and verify every value that comes back.
 *
 *     memcached_load SOCKET THREADS OPERATIONS
 *
 * Each thread has keys of its own and knows what must be in them; an item may only be
 * missing, because memcached forgets what it has no room for.  A few are never missing:
 * those set last.  This program is a client, on the system's malloc.
 */
#include "load.h"
#include <sys/socket.h>
#include <sys/un.h>

#define KEYS       4000 /* of each thread */
#define VALUE_MOST 20000
#define SMALL_MOST 400 /* most values are shorter than this */
#define LARGE_EACH 50  /* of so many values one may be longer */
#define GETS_MOST  16  /* keys asked for in one command */
#define DROP_EACH  20  /* of so many changes one is a deletion */
#define LINE_ROOM  512
#define RECENT     100 /* keys set at the end and then there for sure */

struct link {
    FILE *from, *to;
    char got[VALUE_MOST + 2];
    uint32_t versions[KEYS]; /* 0: deleted, or never set */
};

static const char *socket_path;
static struct link *links[LOAD_THREADS_MAX];

static struct link *connect_link(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct link *link = calloc(1, sizeof *link);
    int to = socket(AF_UNIX, SOCK_STREAM, 0);
    if (link == NULL || to < 0 || strlen(socket_path) >= sizeof address.sun_path)
        load_fail(socket_path, "no socket can be made for it");
    strcpy(address.sun_path, socket_path);
    if (connect(to, (struct sockaddr *)&address, sizeof address) != 0)
        load_fail(socket_path, "nobody listens there");
    link->to = fdopen(to, "w");
    link->from = fdopen(dup(to), "r");
    if (link->to == NULL || link->from == NULL)
        load_fail(socket_path, "no stream can be made for it");
    return link;
}

static void read_line(struct link *link, char line[LINE_ROOM])
{
    fflush(link->to);
    if (fgets(line, LINE_ROOM, link->from) == NULL)
        load_fail("memcached", "closed the connection");
}

static void expect(struct link *link, const char *wanted)
{
    char line[LINE_ROOM];
    read_line(link, line);
    if (strncmp(line, wanted, strlen(wanted)) != 0)
        load_fail(wanted, line);
}

static size_t value_of(unsigned thread, unsigned key, uint32_t version, char *value)
{
    uint64_t number = (uint64_t)thread * KEYS + key;
    uint64_t random = load_seed(number ^ (uint64_t)version << 32);
    size_t most = random_next(&random) % LARGE_EACH == 0 ? VALUE_MOST : SMALL_MOST;
    size_t size = 1 + random_next(&random) % most;
    load_fill(value, size, number, version);
    return size;
}

static void set(struct link *link, unsigned thread, unsigned key)
{
    char value[VALUE_MOST];
    size_t size = value_of(thread, key, ++link->versions[key], value);
    fprintf(link->to, "set %u:%u 0 0 %zu\r\n", thread, key, size);
    fwrite(value, 1, size, link->to);
    fputs("\r\n", link->to);
    expect(link, "STORED");
}

static void drop(struct link *link, unsigned thread, unsigned key)
{
    char line[LINE_ROOM];
    link->versions[key] = 0;
    fprintf(link->to, "delete %u:%u\r\n", thread, key);
    read_line(link, line);
    if (strncmp(line, "DELETED", 7) != 0 && strncmp(line, "NOT_FOUND", 9) != 0)
        load_fail("delete", line);
}

/* Asks for `count` keys from `first` on and verifies all that come; how many did. */
static unsigned get(struct link *link, unsigned thread, unsigned first, unsigned count)
{
    char line[LINE_ROOM], right[VALUE_MOST];
    unsigned found = 0;
    fputs("get", link->to);
    for (unsigned i = 0; i < count; i++)
        fprintf(link->to, " %u:%u", thread, (first + i) % KEYS);
    fputs("\r\n", link->to);
    for (;; found++) {
        unsigned of, key;
        size_t size;
        read_line(link, line);
        if (strncmp(line, "END", 3) == 0)
            return found;
        if (sscanf(line, "VALUE %u:%u 0 %zu", &of, &key, &size) != 3 || of != thread ||
            key >= KEYS || size > VALUE_MOST)
            load_fail("get", line);
        if (fread(link->got, 1, size + 2, link->from) != size + 2)
            load_fail("memcached", "closed the connection");
        if (link->versions[key] == 0 || size != value_of(thread, key, link->versions[key], right) ||
            memcmp(link->got, right, size) != 0)
            load_fail("a value is not what was set", line);
    }
}

static void change(struct load_worker *worker)
{
    struct link *link = links[worker->thread];
    for (unsigned long i = 0; i < worker->operations; i++) {
        unsigned key = (unsigned)(random_next(&worker->random) % KEYS);
        uint64_t begun = load_now();
        if (random_next(&worker->random) % DROP_EACH == 0)
            drop(link, worker->thread, key);
        else
            set(link, worker->thread, key);
        load_took(worker, i, begun);
    }
}

static void ask(struct load_worker *worker)
{
    struct link *link = links[worker->thread];
    for (unsigned long i = 0; i < worker->operations; i++) {
        unsigned count = 1 + (unsigned)(random_next(&worker->random) % GETS_MOST);
        unsigned first = (unsigned)(random_next(&worker->random) % KEYS);
        uint64_t begun = load_now();
        get(link, worker->thread, first, count);
        load_took(worker, i, begun);
    }
}

/* A connection for each operation, so that memcached has some come and go. */
static void come_and_go(struct load_worker *worker)
{
    for (unsigned long i = 0; i < worker->operations; i++) {
        uint64_t begun = load_now();
        struct link *link = connect_link();
        fputs("version\r\n", link->to);
        expect(link, "VERSION");
        fclose(link->to);
        fclose(link->from);
        free(link);
        load_took(worker, i, begun);
    }
}

int main(int argc, char **argv)
{
    load_program = argv[0];
    if (argc != 4) {
        fputs("usage: memcached_load SOCKET THREADS OPERATIONS\n", stderr);
        return 2;
    }
    socket_path = argv[1];
    unsigned threads = (unsigned)load_number(argv[2], LOAD_THREADS_MAX);
    unsigned long operations = load_number(argv[3], LOAD_WORK_MAX);
    for (unsigned i = 0; i < threads; i++)
        links[i] = connect_link();
    load_phase("change", threads, operations, change, NULL);
    load_phase("get", threads, operations, ask, NULL);
    load_phase("connect", threads, operations / 20, come_and_go, NULL);
    for (unsigned i = 0; i < threads; i++) {
        for (unsigned key = 0; key < RECENT; key++)
            set(links[i], i, key);
        for (unsigned key = 0; key < RECENT; key++)
            if (get(links[i], i, key, 1) != 1)
                load_fail("get", "what was set a moment ago is not there");
        fclose(links[i]->to);
        fclose(links[i]->from);
        free(links[i]);
    }
    puts("}");
    return 0;
}
