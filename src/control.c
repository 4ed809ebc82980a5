/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * control.c - see control.h: the socket, its connections, and who may connect.
 */
#include "control.h"

#include "attendant.h"
#include "control_path.h"
#include "os.h"
#include "own_fd.h"
#include "own_file.h"
#include "share.h"
#include "share_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_MODE 0600
#define BACKLOG     32
#define CONNECTIONS 8
/* A client that has not brought its command by then is let go. */
#define PATIENCE_MS 3000
/* Descriptors that one message may bring without their being lost to us. */
#define FILES_MAX 4

NH_STATIC(CONTROL_PATH_ROOM <= sizeof(((struct sockaddr_un *)NULL)->sun_path),
          "a path fits a socket's address");

/* All of this is the attendant's; in fork's child, where there is none yet, its successor's. */
static uid_t owner; /* of the folder in which the socket is */
static struct own_fd listener = {.fd = -1};
static bool accepting; /* the listener is watched */
static struct connection {
    struct own_fd socket;
    struct own_fd file; /* that came with the command */
    uint64_t since_ms;
    size_t used;
    char line[CONTROL_COMMAND_ROOM];
} connections[CONNECTIONS];

static char path[CONTROL_PATH_ROOM];
static struct own_file socket_file = {.path = path};

/* ---- Descriptors ---- */

/* Closes what it cannot tell from other files later: it is none then (errno). */
static struct own_fd own(int fd)
{
    struct own_fd it = {.fd = -1};
    if (own_fd_note(fd, &it))
        return it;
    int error = errno;
    close(fd);
    errno = error;
    return it;
}

static void close_own(struct own_fd *it)
{
    if (own_fd_is(it))
        close(it->fd);
    it->fd = -1;
}

/* NULL when the program has closed the descriptor, which it may do at any moment. */
static struct connection *connection_of(int fd)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (connections[i].socket.fd == fd && own_fd_is(&connections[i].socket))
            return &connections[i];
    return NULL;
}

static struct connection *free_connection(void)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (connections[i].socket.fd < 0)
            return &connections[i];
    return NULL;
}

static void listener_ready(int fd);

/* Whether others may connect; those that come meanwhile wait. */
static void accept_connections(bool accept)
{
    if (accept == accepting)
        return;
    if (accept) {
        accepting = attendant_watch(&listener, listener_ready);
    } else {
        attendant_drop(listener.fd);
        accepting = false;
    }
}

static void end_connection(struct connection *connection)
{
    close_own(&connection->file);
    if (own_fd_is(&connection->socket)) {
        attendant_drop(connection->socket.fd);
        /* A child of which we are not told may have it, too. */
        (void)shutdown(connection->socket.fd, SHUT_RDWR);
    }
    close_own(&connection->socket);
    accept_connections(own_fd_is(&listener));
}

/* ---- A connection ---- */

/* Unless the program has closed the connection, for which it has time while a command is carried
 * out: another file may have the number. */
static void answer(const struct connection *connection, const struct text *text)
{
    if (!own_fd_is(&connection->socket))
        return;
    /* The first that is sent: there is room for all of it, or nobody who wants it. */
    (void)send(connection->socket.fd, text->at, text->used, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == owner || peer.uid == 0);
}

/* Keeps one file of what came, and closes others. */
static void take_files(struct connection *connection, struct msghdr *message)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int file;
            memcpy(&file, CMSG_DATA(at) + i * sizeof file, sizeof file);
            if (connection->file.fd < 0)
                connection->file = own(file);
            else
                close(file);
        }
    }
}

/* More of the command; false when the connection has ended, or is about to. */
static bool receive(struct connection *connection)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(FILES_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = connection->line + connection->used,
                         .iov_len = sizeof connection->line - connection->used};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(connection->socket.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    take_files(connection, &message);
    connection->used += (size_t)got;
    return got > 0;
}

static void connection_ready(int fd)
{
    static char buffer[CONTROL_ANSWER_ROOM];
    struct text text = {.at = buffer, .room = sizeof buffer};
    struct connection *connection = connection_of(fd);
    if (connection == NULL)
        return;
    bool open = receive(connection);
    char *end = memchr(connection->line, '\n', connection->used);
    bool full = connection->used == sizeof connection->line;
    if (end == NULL && open && !full)
        return; /* the rest is on its way */
    if (end != NULL) {
        *end = '\0';
        int file = own_fd_is(&connection->file) ? connection->file.fd : -1;
        control_command(connection->line, file, &text);
        answer(connection, &text);
    } else if (full) {
        text_add(&text, CONTROL_ERROR "the command is too long\n");
        answer(connection, &text);
    }
    end_connection(connection);
}

static void listener_ready(int fd)
{
    struct connection *connection = free_connection();
    if (connection == NULL) {
        accept_connections(false);
        return;
    }
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) {
        /* It stays ready, whether there are no descriptors or a sandbox refuses the call: again at
         * the next beat. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            accept_connections(false);
        return;
    }
    *connection =
        (struct connection){.socket = own(peer), .file = {.fd = -1}, .since_ms = os_now_ms()};
    if (connection->socket.fd < 0)
        return;
    if (!is_allowed(peer)) {
        static char refusal[] = CONTROL_ERROR "the process is another user's\n";
        answer(connection, &(struct text){.at = refusal, .used = sizeof refusal - 1});
        close_own(&connection->socket);
    } else if (!attendant_watch(&connection->socket, connection_ready)) {
        close_own(&connection->socket);
    }
}

/* ---- The socket ---- */

/* 0 or an error. */
static int listen_at(const char *place)
{
    char unfinished[CONTROL_PATH_ROOM];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    control_path(place, owner, (long)getpid(), true, unfinished);
    if (*path == '\0' || *unfinished == '\0')
        return ENOMEM;
    memcpy(address.sun_path, unfinished, sizeof unfinished);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    listener = own(fd);
    if (listener.fd < 0)
        return errno;
    (void)unlink(unfinished);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(unfinished, SOCKET_MODE) == 0 && listen(fd, BACKLOG) == 0 &&
        rename(unfinished, path) == 0)
        return 0;
    int error = errno;
    (void)unlink(unfinished);
    close(fd);
    listener.fd = -1;
    return error;
}

static int open_in(const char *place)
{
    owner = geteuid();
    control_path(place, owner, (long)getpid(), false, path);
    int folder = share_file_folder(place, owner, true);
    if (folder < 0)
        return errno;
    close(folder);
    return listen_at(place);
}

static void open_somewhere(void)
{
    int error = 0;
    *path = '\0'; /* it may be the parent's */
    for (unsigned i = 0; i < SHARE_PLACES; i++) {
        error = open_in(share_places[i]);
        if (error == 0) {
            accept_connections(true);
            own_file_is_made(&socket_file);
            return;
        }
    }
    char room[LOG_ERROR_ROOM];
    log_line(LOG_ERROR, "nearheap-ctl cannot be served (NEARHEAP_SHARE): cannot make %s: %s", path,
             log_error(error, room));
}

void control_begin(void)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        connections[i].socket.fd = connections[i].file.fd = -1;
    /* Else there is no place for the socket either, and it has been said. */
    if (share_is_there())
        open_somewhere();
}

/* The program has closed the listener, as daemons do: nobody listens where its file is. */
static void open_again(void)
{
    accept_connections(false);
    listener.fd = -1;
    own_file_remove(&socket_file);
    open_somewhere();
}

/* Its time is over.  What came while another's command was carried out has not been read. */
static void end_late(struct connection *connection)
{
    connection_ready(connection->socket.fd);
    if (connection->socket.fd >= 0)
        end_connection(connection);
}

void control_beat(void)
{
    if (listener.fd >= 0 && !own_fd_is(&listener))
        open_again();
    uint64_t now = os_now_ms();
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (connections[i].socket.fd >= 0 && now - connections[i].since_ms > PATIENCE_MS)
            end_late(&connections[i]);
    if (own_fd_is(&listener))
        accept_connections(free_connection() != NULL);
}

void control_end(void)
{
    own_file_end(&socket_file);
}

void control_fork_child(void)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        close_own(&connections[i].socket);
        close_own(&connections[i].file);
    }
    close_own(&listener);
    accepting = false;
    own_file_fork_child(&socket_file);
}
