/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * outside.c - see outside.h.
 */
#include "outside.h"

#include "beat.h"
#include "inject.h"

#include "../sanitizers.h"
#include "control_path.h"
#include "share_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 256
#define PROCESSES_MAX   8
#define NAME_ROOM       128
/* After so many beats the attendant has let go whoever it talked to (PATIENCE_MS). */
#define PATIENCE_BEATS 5

static bool open_at_start[DESCRIPTORS_MAX];
static struct process {
    pid_t number;
    bool ends_well; /* and takes its files with it */
} processes[PROCESSES_MAX];
static unsigned process_count;

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Before the engine's own constructor, which has no priority. */
__attribute__((constructor(101))) static void look(void)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        open_at_start[fd] = is_open(fd);
    outside_adopt(getpid(), true);
}

bool outside_is_seen(void)
{
    return getenv("NEARHEAP_SHARE") != NULL;
}

/* ---- Asking ---- */

static void send_command(int fd, const char *command, int file)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    memcpy(CMSG_DATA(&control.header), &file, sizeof(file));
    struct iovec part = {.iov_base = (void *)(uintptr_t)command, .iov_len = strlen(command)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    (void)sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Whether the answer came that all is well. */
static bool is_answered(int fd)
{
    char answer[CONTROL_ANSWER_ROOM];
    for (unsigned i = 0; i < PATIENCE_BEATS && beat(); i++) {
        ssize_t got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (got >= 0)
            return (size_t)got >= strlen(CONTROL_OK) &&
                   strncmp(answer, CONTROL_OK, strlen(CONTROL_OK)) == 0;
    }
    return false;
}

/* True also when there is no socket. */
static bool ask(const char *command, int file)
{
    bool answered = true;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (unsigned i = 0; i < SHARE_PLACES; i++) {
        control_path(share_places[i], geteuid(), (long)getpid(), false, address.sun_path);
        if (access(address.sun_path, F_OK) != 0)
            continue;
        answered = false;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
            send_command(fd, command, file);
            answered = is_answered(fd);
        }
        break;
    }
    close(fd);
    return answered;
}

unsigned outside_ask(void)
{
    static const char *const commands[] = {
        "get\n",        "set NEARHEAP_DECAY 5000\n", "scavenge\n", "profile write\n", "dump\n",
        "stats json\n",
    };
    unsigned unanswered = 0;
    if (!outside_is_seen())
        return 0;
    fault_spare(true);
    (void)beat();
    int file = memfd_create("faults", MFD_CLOEXEC);
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        unanswered += !ask(commands[i], file);
    close(file);
    (void)beat();
    fault_spare(false);
    return unanswered;
}

/* ---- What is left ---- */

void outside_adopt(pid_t process, bool ends_well)
{
    if (process > 0 && process_count < PROCESSES_MAX)
        processes[process_count++] = (struct process){process, ends_well};
}

void outside_leave_stale(void)
{
    if (!outside_is_seen())
        return;
    /* A thread that ends holds locks of AddressSanitizer's, which a child would wait for. */
    if (!beat_settle() && UNDER_ASAN)
        return;
    fault_phase(PHASE_NONE);
    pid_t child = fork();
    if (child == 0) {
        (void)beat();
        _exit(0);
    }
    fault_phase(PHASE_START);
    outside_adopt(child, false);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}

/* Under each of the names that a process's files have. */
static unsigned files_of(const char *place, long process)
{
    static const char *const forms[] = {"%s/%ld", "%s/.%ld", "%s/%ld.sock", "%s/.%ld.sock"};
    char folder[SHARE_PATH_ROOM];
    unsigned files = 0;
    share_file_folder_path(place, geteuid(), folder);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        char name[NAME_ROOM];
        snprintf(name, sizeof(name), forms[i], folder, process);
        files += access(name, F_OK) == 0;
    }
    return files;
}

unsigned outside_files(void)
{
    unsigned files = 0;
    for (unsigned i = 0; i < process_count; i++)
        for (unsigned j = 0; processes[i].ends_well && j < SHARE_PLACES; j++)
            files += files_of(share_places[j], (long)processes[i].number);
    return files;
}

void outside_print(int fd)
{
    for (unsigned i = 0; i < process_count; i++)
        dprintf(fd, "%s%ld", i == 0 ? "" : ", ", (long)processes[i].number);
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t length = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

static unsigned count_descriptors(void)
{
    unsigned found = 0, listening = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        if (is_open(fd) && !open_at_start[fd] && fd != beat_descriptor()) {
            found++;
            listening += is_listening(fd);
        }
    return found - (listening > 0);
}

/* Who starts beside us looks whether anybody is at our socket: a connection, until it is served
 * or has taken too long. */
unsigned outside_descriptors(void)
{
    fault_spare(true);
    unsigned found = count_descriptors();
    for (unsigned i = 0; found != 0 && i < PATIENCE_BEATS && beat(); i++)
        found = count_descriptors();
    fault_spare(false);
    return found;
}
