/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_ask.c - see ctl_ask.h.
 */
#include "ctl_ask.h"

#include "container.h"
#include "ctl_answer.h"
#include "ctl_end.h"
#include "share_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MICROSECONDS 1000000 /* of a second */
#define NANOSECONDS  1000    /* of a microsecond */
#define WAIT_MOST_S  1000000000

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MICROSECONDS + now.tv_nsec / NANOSECONDS;
}

/* Lets the socket's next call take what is left of the time (SO_SNDTIMEO, SO_RCVTIMEO): were it
 * all of the time for each, a process that means ill would have us make many.  False when none is
 * left, and errno is that of a call that took too long. */
static bool limit(const struct ctl_asked *asked, int fd, int option)
{
    int64_t left = asked->end_us - now_us();
    if (left <= 0) {
        errno = EAGAIN;
        return false;
    }
    const struct timeval wait = {.tv_sec = left / MICROSECONDS, .tv_usec = left % MICROSECONDS};
    return setsockopt(fd, SOL_SOCKET, option, &wait, sizeof wait) == 0;
}

static const char *said_of(int error)
{
    return error == EAGAIN ? "it takes longer; see --wait" : strerror(error);
}

/* Its user's number. */
static uid_t user_of(long pid)
{
    char path[CONTROL_PATH_ROOM];
    struct stat stat_of_process;
    snprintf(path, sizeof path, "/proc/%ld", pid);
    if (stat(path, &stat_of_process) != 0)
        ctl_end(STATUS_REFUSED, "there is no process %ld", pid);
    return stat_of_process.st_uid;
}

/* Whether it is the process itself that listens there, and began to as that user: its number
 * may have been another's, who left the socket open to somebody. */
static bool is_process(int fd, long pid, uid_t uid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == pid &&
           peer.uid == uid;
}

/* Whether that user's folder is there, and no other's of its name, who could keep waiting
 * who connects to what lies in it; if not (errno). */
static bool is_users_folder(const char *place, uid_t uid)
{
    int folder = share_file_folder(place, uid, false);
    if (folder < 0)
        return false;
    close(folder);
    return true;
}

/* A connection to the process's socket in a user's folder; negative (errno) if none. */
static int connect_in(const char *place, uid_t uid, const struct ctl_asked *asked)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[CONTROL_PATH_ROOM];
    if (!is_users_folder(place, uid))
        return -1;
    control_path(place, uid, asked->pid, false, path);
    memcpy(address.sun_path, path, sizeof path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        ctl_end(STATUS_REFUSED, "no socket: %s", strerror(errno));
    if (limit(asked, fd, SO_SNDTIMEO) &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        if (is_process(fd, asked->pid, uid))
            return fd;
        errno = ENOENT;
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void ctl_ask_connect(struct ctl_asked *asked)
{
    /* It may have been another's when it began: ours, or root's, whose rights it gave up. */
    const uid_t users[] = {user_of(asked->pid), geteuid(), 0};
    int error = ENOENT;
    asked->end_us =
        now_us() + (asked->wait_s < WAIT_MOST_S ? asked->wait_s : WAIT_MOST_S) * MICROSECONDS;
    for (size_t user = 0; user < sizeof users / sizeof users[0]; user++)
        for (unsigned i = 0; i < SHARE_PLACES; i++) {
            asked->fd = connect_in(share_places[i], users[user], asked);
            if (asked->fd >= 0) {
                asked->ours = users[user] == geteuid() && users[0] == geteuid();
                return;
            }
            /* That root's folder is closed tells nothing of the process of another. */
            if (error == ENOENT && !(errno == EACCES && users[user] != users[0]))
                error = errno;
        }
    if ((error == ENOENT || error == ECONNREFUSED) && container_has(asked->pid))
        ctl_end(STATUS_REFUSED, "process %ld " CONTAINER_SAID, asked->pid);
    if (error == ENOENT || error == ECONNREFUSED)
        ctl_end(STATUS_REFUSED,
                "process %ld cannot be asked: it was not started with NEARHEAP_SHARE=1 on "
                "nearheap, or only just now",
                asked->pid);
    if (error == EPERM)
        ctl_end(STATUS_REFUSED,
                "process %ld cannot be asked: the folder for its socket is not its user's alone",
                asked->pid);
    ctl_end(STATUS_REFUSED, "process %ld cannot be asked: %s", asked->pid, said_of(error));
}

void ctl_ask_send(const struct ctl_asked *asked, char *command, int file)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = command, .iov_len = strlen(command)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (file >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(&control.header), &file, sizeof file);
    }
    /* Who is refused may find the answer there already, and nobody who reads. */
    bool sent = limit(asked, asked->fd, SO_SNDTIMEO) &&
                sendmsg(asked->fd, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
    if (!sent && errno != EPIPE)
        ctl_end(STATUS_REFUSED, "the command cannot be sent: %s", said_of(errno));
}

/* More of the answer, as recv. */
static ssize_t receive(const struct ctl_asked *asked, char *at, size_t room)
{
    return limit(asked, asked->fd, SO_RCVTIMEO) ? recv(asked->fd, at, room, 0) : -1;
}

char *ctl_ask_receive(const struct ctl_asked *asked, char answer[CONTROL_ANSWER_ROOM])
{
    size_t used = 0;
    ssize_t got;
    while ((got = receive(asked, answer + used, CONTROL_ANSWER_ROOM - 1 - used)) > 0)
        used += (size_t)got;
    /* After an answer to a command that was not read, a reset stands for the end. */
    if (got < 0 && (errno != ECONNRESET || used == 0))
        ctl_end(STATUS_REFUSED, "process %ld does not answer: %s", asked->pid, said_of(errno));
    answer[used] = '\0';
    const char *why;
    char *rest = ctl_answer_read(answer, &why);
    if (rest == NULL && why == NULL)
        ctl_end_nonsense(asked->pid);
    if (rest == NULL)
        ctl_end(STATUS_REFUSED, "%s", why);
    return rest;
}
