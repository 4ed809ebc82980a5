/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl.c - nearheap-ctl: asks a running process about its heap, and changes what may change
 * while it runs.  What is sent and answered, src/control_path.h tells.
 *
 * Reports are written by the process to a file without a name that is sent along, and copied
 * from there to where they are to go: a process that means ill, when it is root who asks, never
 * holds a file that is not its own.
 */
#include "about.h"
#include "container.h"
#include "control_path.h"
#include "ctl_answer.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "printable.h"
#include "share_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS_REFUSED 1
#define STATUS_USAGE   2

#define PREFIX      "NEARHEAP_"
#define COPY_BYTES  65536
#define WAIT_S      60
#define OUTPUT_MODE 0600
#define DECIMAL     10
#define RANGE_ROOM  32
#define BLOCK_BYTES 512 /* of st_blocks */
/* One that is longer cannot be opened again. */
#define FILE_PATH_ROOM 4096

/* What a command's answer is. */
enum answer { ANSWER_NONE, ANSWER_OPTIONS, ANSWER_VALUES, ANSWER_TEXT, ANSWER_BINARY };

struct request {
    long pid;
    const char *output; /* NULL: standard output */
    bool json;
    long wait_s;
    char command[CONTROL_COMMAND_ROOM];
    enum answer answer;
};

static void __attribute__((noreturn, format(printf, 2, 3))) end(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("nearheap-ctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static void print_help(void)
{
    fputs("usage: nearheap-ctl [OPTION ...] PID COMMAND [ARGUMENT ...]\n\n"
          "Asks a process that was started with NEARHEAP_SHARE=1 about its heap, or changes what\n"
          "may change while it runs.  Only the process's user and root are answered.\n\n"
          "  get [NAME]              the options' values, and which are live\n"
          "  set NAME VALUE          changes a live option; NEARHEAP_ may be left out of NAME\n"
          "  scavenge [NODE]         gives free memory back to the system, of all nodes or one\n"
          "  stats                   prints the counters\n"
          "  dump [-o FILE]          writes the heap span by span, for nearheap-map\n"
          "  profile start [RATE]    samples allocations, one for each RATE bytes (k, m, g)\n"
          "  profile stop            ends that\n"
          "  profile write -o FILE   writes what was sampled so far, for pprof\n"
          "  migrate FROM TO         moves the memory of node FROM to node TO\n\n"
          "  -o, --output FILE       where dump, stats and profile write go (default: standard\n"
          "                          output)\n"
          "  --json                  get, stats, scavenge and migrate print JSON\n"
          "  --wait SECONDS          how long to wait for the answer (default: 60)\n"
          "  -h, --help              this text\n"
          "  --version               print the version\n\n"
          "Options that are live:\n",
          stdout);
    for (int i = 0; i < OPTIONS; i++)
        if (options_row((enum option_id)i)->when == OPTION_LIVE)
            printf("  %s\n      %s\n", options_row((enum option_id)i)->variable,
                   options_row((enum option_id)i)->meaning);
    fputs("\nStatus: 0, 1 when the process is not there or refuses, 2 for a wrong command line.\n"
          "For example:\n\n"
          "  nearheap-ctl $(pidof redis-server) set DECAY 1000\n"
          "  nearheap-ctl $(pidof redis-server) profile write -o /tmp/now.pb.gz\n",
          stdout);
}

static void __attribute__((noreturn)) end_nonsense(const struct request *request)
{
    end(STATUS_REFUSED, "process %ld does not answer as it should", request->pid);
}

/* ---- The command line ---- */

/* decay, node-limit and NEARHEAP_DECAY are variables' names, too. */
static void add_name(struct request *request, const char *name)
{
    size_t used = strlen(request->command);
    bool whole = strncasecmp(name, PREFIX, strlen(PREFIX)) == 0;
    if (used + strlen(PREFIX) + strlen(name) + 2 > sizeof request->command)
        end(STATUS_USAGE, "a name is too long");
    request->command[used++] = ' ';
    if (!whole)
        used += (size_t)sprintf(request->command + used, PREFIX);
    for (const char *at = name; *at != '\0'; at++)
        request->command[used++] = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    request->command[used] = '\0';
}

static void add_word(struct request *request, const char *word)
{
    size_t used = strlen(request->command);
    if (used + strlen(word) + 3 > sizeof request->command) /* a space, a newline, the end */
        end(STATUS_USAGE, "the command is too long");
    if (strchr(word, '\n') != NULL)
        end(STATUS_USAGE, "a word of the command has more than one line");
    sprintf(request->command + used, "%s%s", used > 0 ? " " : "", word);
}

/* What may follow each command: so many words, of which the first may be an option's name. */
static const struct command {
    const char *word, *second;
    int least, most;
    bool names, json;
    enum answer answer;
} commands[] = {
    {"get", NULL, 0, 1, true, true, ANSWER_OPTIONS},
    {"set", NULL, 2, 2, true, false, ANSWER_NONE},
    {"scavenge", NULL, 0, 1, false, true, ANSWER_VALUES},
    {"stats", NULL, 0, 0, false, true, ANSWER_TEXT},
    {"dump", NULL, 0, 0, false, false, ANSWER_TEXT},
    {"profile", "start", 0, 1, false, false, ANSWER_NONE},
    {"profile", "stop", 0, 0, false, false, ANSWER_NONE},
    {"profile", "write", 0, 0, false, false, ANSWER_BINARY},
    {"migrate", NULL, 2, 2, false, true, ANSWER_VALUES},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static bool is_report(enum answer answer)
{
    return answer == ANSWER_TEXT || answer == ANSWER_BINARY;
}

/* Ends the program if there are too few values or too many, or options that are not for it. */
static void check_use(const struct command *command, const struct request *request, int values)
{
    const char *second = command->second != NULL ? command->second : "";
    const char *between = command->second != NULL ? " " : "";
    if (values < command->least || values > command->most) {
        char range[RANGE_ROOM] = "no";
        if (command->least < command->most)
            snprintf(range, sizeof range, "%d to %d", command->least, command->most);
        else if (command->most > 0)
            snprintf(range, sizeof range, "%d", command->most);
        end(STATUS_USAGE, "'%s%s%s' takes %s values, not %d; see --help", command->word, between,
            second, range, values);
    }
    if (request->output != NULL && !is_report(command->answer))
        end(STATUS_USAGE, "'%s%s%s' writes no file: --output is for dump, stats and profile write",
            command->word, between, second);
    if (request->json && !command->json)
        end(STATUS_USAGE, "'%s%s%s' prints no JSON: --json is for get, stats, scavenge and migrate",
            command->word, between, second);
}

/* What is missing or wrong. */
static void __attribute__((noreturn)) end_unknown(char **words, int count)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].second != NULL && strcmp(words[0], commands[i].word) == 0)
            end(STATUS_USAGE, "'%s' is to be followed by start, stop or write; see --help",
                words[0]);
    end(STATUS_USAGE, "there is no command '%s%s%s'; see --help", words[0], count > 1 ? " " : "",
        count > 1 ? words[1] : "");
}

static void read_command(struct request *request, char **words, int count)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        int first = commands[i].second != NULL ? 2 : 1;
        if (count < first || strcmp(words[0], commands[i].word) != 0 ||
            (first == 2 && strcmp(words[1], commands[i].second) != 0))
            continue;
        check_use(&commands[i], request, count - first);
        for (int k = 0; k < count; k++)
            if (commands[i].names && k == first)
                add_name(request, words[k]);
            else
                add_word(request, words[k]);
        request->answer = commands[i].answer;
        if (request->json && strcmp(words[0], "stats") == 0)
            add_word(request, "json");
        return;
    }
    end_unknown(words, count);
}

static long read_number(const char *text, long least, const char *what)
{
    char *rest;
    errno = 0;
    long number = strtol(text, &rest, DECIMAL);
    if (errno != 0 || rest == text || *rest != '\0' || number < least)
        end(STATUS_USAGE, "'%s' is no %s; see --help", text, what);
    return number;
}

/* Options may stand anywhere, but for `set`, whose value may begin with a dash. */
static void read_arguments(int argc, char **argv, struct request *request)
{
    char *words[argc];
    int count = 0;
    bool set = false; /* behind the process's id */
    for (int i = 1; i < argc; i++) {
        bool last = i + 1 == argc;
        bool value = set && count >= 3;
        if (value || (argv[i][0] != '-' || argv[i][1] == '\0')) {
            set = set || (count == 1 && strcmp(argv[i], "set") == 0);
            words[count++] = argv[i];
        } else if (asks_for_help(argv[i])) {
            print_help();
            exit(EXIT_SUCCESS);
        } else if (asks_for_version(argv[i])) {
            print_version("nearheap-ctl");
            exit(EXIT_SUCCESS);
        } else if (strcmp(argv[i], "--json") == 0) {
            request->json = true;
        } else if (!last && (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0)) {
            request->output = argv[++i];
        } else if (!last && strcmp(argv[i], "--wait") == 0) {
            request->wait_s = read_number(argv[++i], 1, "time to wait");
        } else {
            end(STATUS_USAGE, "unknown argument '%s'; see --help", argv[i]);
        }
    }
    if (count < 2)
        end(STATUS_USAGE, "a process and a command are needed; see --help");
    request->pid = read_number(words[0], 1, "process id");
    read_command(request, words + 1, count - 1);
}

/* ---- The process ---- */

/* Its user's number. */
static uid_t user_of(long pid)
{
    char path[CONTROL_PATH_ROOM];
    struct stat stat_of_process;
    snprintf(path, sizeof path, "/proc/%ld", pid);
    if (stat(path, &stat_of_process) != 0)
        end(STATUS_REFUSED, "there is no process %ld", pid);
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
static int connect_in(const char *place, uid_t uid, const struct request *request)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = request->wait_s};
    char path[CONTROL_PATH_ROOM];
    if (!is_users_folder(place, uid))
        return -1;
    control_path(place, uid, request->pid, false, path);
    memcpy(address.sun_path, path, sizeof path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
        end(STATUS_REFUSED, "no socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        if (is_process(fd, request->pid, uid))
            return fd;
        errno = ENOENT;
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Ends the program where there is none to be had. */
static int connect_to(const struct request *request)
{
    /* It may have been another's when it began: ours, or root's, whose rights it gave up. */
    const uid_t users[] = {user_of(request->pid), geteuid(), 0};
    int error = ENOENT;
    for (size_t user = 0; user < sizeof users / sizeof users[0]; user++)
        for (unsigned i = 0; i < SHARE_PLACES; i++) {
            int fd = connect_in(share_places[i], users[user], request);
            if (fd >= 0)
                return fd;
            /* That root's folder is closed tells nothing of the process of another. */
            if (error == ENOENT && !(errno == EACCES && users[user] != users[0]))
                error = errno;
        }
    if ((error == ENOENT || error == ECONNREFUSED) && container_has(request->pid))
        end(STATUS_REFUSED, "process %ld " CONTAINER_SAID, request->pid);
    if (error == ENOENT || error == ECONNREFUSED)
        end(STATUS_REFUSED,
            "process %ld cannot be asked: it was not started with NEARHEAP_SHARE=1 on nearheap, or "
            "only just now",
            request->pid);
    if (error == EPERM)
        end(STATUS_REFUSED,
            "process %ld cannot be asked: the folder for its socket is not its user's alone",
            request->pid);
    end(STATUS_REFUSED, "process %ld cannot be asked: %s", request->pid, strerror(error));
}

static void send_command(int fd, char *command, int file)
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
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)part.iov_len && errno != EPIPE)
        end(STATUS_REFUSED, "the command cannot be sent: %s", strerror(errno));
}

/* All of the answer behind its first line; ends the program when it is an error. */
static char *receive_answer(const struct request *request, int fd, char answer[CONTROL_ANSWER_ROOM])
{
    size_t used = 0;
    ssize_t got;
    while ((got = recv(fd, answer + used, CONTROL_ANSWER_ROOM - 1 - used, 0)) > 0)
        used += (size_t)got;
    /* After an answer to a command that was not read, a reset stands for the end. */
    if (got < 0 && (errno != ECONNRESET || used == 0))
        end(STATUS_REFUSED, "process %ld does not answer: %s", request->pid,
            errno == EAGAIN ? "it takes longer; see --wait" : strerror(errno));
    answer[used] = '\0';
    const char *why;
    char *rest = ctl_answer_read(answer, &why);
    if (rest == NULL && why == NULL)
        end_nonsense(request);
    if (rest == NULL)
        end(STATUS_REFUSED, "%s", why);
    return rest;
}

/* ---- Reports ---- */

/* Where the report is to go in the end. */
static int open_output(const char *path)
{
    if (path == NULL)
        return STDOUT_FILENO;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, OUTPUT_MODE);
    if (fd < 0)
        end(STATUS_REFUSED, "%s: %s", path, strerror(errno));
    return fd;
}

/* A file without a name in the folder of one that is open; negative if none can be made. */
static int open_beside(int output)
{
    char link[CONTROL_PATH_ROOM], path[FILE_PATH_ROOM];
    snprintf(link, sizeof link, "/proc/self/fd/%d", output);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return -1;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return -1;
    slash[slash == path] = '\0'; /* the root's name is its slash */
    return open(path, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, OUTPUT_MODE);
}

/* For the process to write to, a regular file, which it demands.  Where the report goes to one
 * it is a file, too: of a large heap's dump memory would be much, and count as the process's. */
static int open_scratch(int output)
{
    struct stat stat;
    int fd = -1;
    if (fstat(output, &stat) == 0 && S_ISREG(stat.st_mode))
        fd = open_beside(output);
    if (fd < 0)
        fd = memfd_create("nearheap-ctl", MFD_CLOEXEC);
    if (fd < 0)
        end(STATUS_REFUSED, "no memory: %s", strerror(errno));
    return fd;
}

/* How much was written.  What the process, which may mean ill, writes from now on does not
 * make it more. */
static off_t length_of(const struct request *request, int scratch)
{
    struct stat stat;
    /* Holes cost who makes them nothing, and who copies them a disk. */
    if (fstat(scratch, &stat) != 0 || stat.st_size / BLOCK_BYTES > stat.st_blocks)
        end_nonsense(request);
    return stat.st_size;
}

/* By offsets of our own: the descriptor's place is the process's, too. */
static void copy(int scratch, off_t length, int output, bool text)
{
    static char buffer[COPY_BYTES];
    ssize_t got;
    for (off_t at = 0; at < length; at += got) {
        got = pread(scratch, buffer, sizeof buffer, at);
        if (got <= 0)
            end(STATUS_REFUSED, "what was written cannot be read: %s", strerror(errno));
        if (text)
            make_lines_printable(buffer, (size_t)got);
        int error = log_write_all(output, buffer, (size_t)got);
        if (error != 0)
            end(STATUS_REFUSED, "cannot write: %s", strerror(error));
    }
}

static void run(struct request *request)
{
    static char answer[CONTROL_ANSWER_ROOM];
    int output = -1, scratch = -1;
    int fd = connect_to(request);
    if (is_report(request->answer)) {
        output = open_output(request->output);
        scratch = open_scratch(output);
    }
    if (request->answer == ANSWER_BINARY && isatty(output))
        end(STATUS_USAGE, "that is not for a terminal: say where to by --output");
    strcat(request->command, "\n"); /* add_word has left room */
    send_command(fd, request->command, scratch);
    char *rest = receive_answer(request, fd, answer);
    if (scratch >= 0)
        copy(scratch, length_of(request, scratch), output, request->answer == ANSWER_TEXT);
    if (request->answer == ANSWER_OPTIONS)
        ctl_answer_options(stdout, rest, request->json);
    else if (request->answer == ANSWER_VALUES && !ctl_answer_values(stdout, rest, request->json))
        end_nonsense(request);
    if (output > STDOUT_FILENO && close(output) != 0)
        end(STATUS_REFUSED, "cannot write: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    struct request request = {.wait_s = WAIT_S};
    output_begin("nearheap-ctl", STATUS_REFUSED);
    read_arguments(argc, argv, &request);
    run(&request);
    return EXIT_SUCCESS;
}
