/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * control_commands.c - what the control socket can be asked for (control_path.h).
 */
#include "control.h"

#include "api.h"
#include "control_path.h"
#include "dump.h"
#include "nearheap.h"
#include "profile_write.h"
#include "retune.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct command {
    char *rest; /* of the line, behind its words so far */
    int file;
    struct text *answer;
};

/* The next word, "" at the end. */
static const char *next_word(struct command *command)
{
    char *word = command->rest + strspn(command->rest, " ");
    char *end = word + strcspn(word, " ");
    command->rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static void begin_error(struct command *command)
{
    text_add(command->answer, CONTROL_ERROR);
}

/* A complete answer that begins so and names what it is about. */
static void refuse(struct command *command, const char *what, const char *which)
{
    begin_error(command);
    text_add(command->answer, "%s '%s'\n", what, which);
}

/* The same of an option's value. */
static void refuse_value(struct command *command, const struct option *row, const char *value)
{
    begin_error(command);
    options_refuse(command->answer, row, value);
    text_add(command->answer, "\n");
}

static void accept_command(struct command *command)
{
    text_add(command->answer, CONTROL_OK "\n");
}

/* Of a call that returned an error's number, or 0. */
static void answer_error(struct command *command, int error)
{
    if (error == 0) {
        accept_command(command);
        return;
    }
    begin_error(command);
    text_add(command->answer, CONTROL_ERRNO "%d\n", error);
}

/* False, and the answer is there, when more words follow. */
static bool is_all(struct command *command)
{
    const char *more = next_word(command);
    if (*more == '\0')
        return true;
    refuse(command, "what is more is not understood:", more);
    return false;
}

/* A whole number; false, and the answer is there, when it is none. */
static bool read_number(struct command *command, const char *word, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(word, &end, 10);
    if (errno == 0 && end != word && *end == '\0')
        return true;
    refuse(command, "this is no whole number:", word);
    return false;
}

/* ---- Options ---- */

static void put_option(struct text *to, enum option_id id)
{
    const struct option *row = options_row(id);
    text_add(to, "%s %s ", row->variable, row->when == OPTION_LIVE ? "live" : "start");
    size_t begin = to->used;
    options_print(to, id);
    /* A text is what it is; but a line is a line. */
    for (size_t i = begin; i < to->used; i++)
        if ((unsigned char)to->at[i] < ' ')
            to->at[i] = '?';
    text_add(to, "\n");
}

static void get(struct command *command)
{
    const char *name = next_word(command);
    enum option_id id = options_find(name, strlen(name));
    if (*name != '\0' && id == OPTIONS) {
        refuse(command, "there is no option", name);
        return;
    }
    if (!is_all(command))
        return;
    accept_command(command);
    if (*name != '\0')
        put_option(command->answer, id);
    for (int i = 0; *name == '\0' && i < OPTIONS; i++)
        put_option(command->answer, (enum option_id)i);
}

static void set(struct command *command)
{
    const char *name = next_word(command);
    enum option_id id = options_find(name, strlen(name));
    if (id == OPTIONS) {
        refuse(command, "there is no option", name);
        return;
    }
    char buffer[NH_LINE_MAX];
    struct text problem = {.at = buffer, .room = sizeof buffer};
    if (!retune(id, command->rest, &problem)) {
        begin_error(command);
        text_add(command->answer, "%s\n", buffer);
        return;
    }
    accept_command(command);
    put_option(command->answer, id);
}

/* ---- Memory ---- */

#define ALL_NODES (-1)

static void scavenge(struct command *command)
{
    const char *word = next_word(command);
    long node = ALL_NODES;
    if ((*word != '\0' && !read_number(command, word, &node)) || !is_all(command))
        return;
    bool number = node == (int)node;
    errno = 0;
    size_t released = number ? nh_scavenge((int)node) : 0;
    if (!number || (released == 0 && errno == EINVAL)) {
        refuse(command, "there is no node", word);
        return;
    }
    accept_command(command);
    text_add(command->answer, "released_bytes %zu\n", released);
}

/* The number of a node that `find` finds; false, and the answer is there, when it does not. */
static bool read_node(struct command *command, bool (*find)(int node, unsigned *slot), int *node)
{
    const char *word = next_word(command);
    long number;
    unsigned slot;
    if (!read_number(command, word, &number))
        return false;
    *node = (int)number;
    if (*node == number && find(*node, &slot))
        return true;
    refuse(command, "there is no node", word);
    return false;
}

static void migrate(struct command *command)
{
    int from, to;
    if (!read_node(command, api_find_any_slot, &from) || !read_node(command, api_find_slot, &to) ||
        !is_all(command))
        return;
    struct nh_migration done = {.struct_size = sizeof done};
    int error = nh_migrate_heap(from, to, &done) == 0 ? 0 : errno;
    if (error == ENOSYS) {
        begin_error(command);
        text_add(command->answer, "memory cannot be moved here: there is one node, or the "
                                  "topology is synthetic, or the system refuses it\n");
        return;
    }
    if (error != 0) { /* a node that just left the cpuset */
        answer_error(command, error);
        return;
    }
    accept_command(command);
    text_add(command->answer, "moved_bytes %" PRIu64 "\nfailed_bytes %" PRIu64 "\n",
             done.moved_bytes, done.failed_bytes);
}

/* ---- Reports ---- */

/* False, and the answer is there, without a file that can be written without waiting. */
static bool has_file(struct command *command)
{
    struct stat stat;
    if (command->file >= 0 && fstat(command->file, &stat) == 0 && S_ISREG(stat.st_mode))
        return true;
    begin_error(command);
    text_add(command->answer, "no regular file came with the command\n");
    return false;
}

static void dump(struct command *command)
{
    if (is_all(command) && has_file(command))
        answer_error(command, dump_write(command->file));
}

static void stats(struct command *command)
{
    const char *form = next_word(command);
    bool json = strcmp(form, "json") == 0;
    if (*form != '\0' && !json && strcmp(form, "text") != 0) {
        refuse(command, "statistics have the forms text and json, not", form);
        return;
    }
    if (!is_all(command) || !has_file(command))
        return;
    answer_error(command, stats_print(command->file, json ? STATS_JSON : STATS_TEXT));
}

static void profile(struct command *command)
{
    const char *what = next_word(command);
    if (strcmp(what, "start") == 0) {
        const char *word = next_word(command);
        long rate = 0;
        const struct option *row = options_row(OPT_PROFILE_RATE);
        if (*word != '\0' && !options_parse(row, word, &rate))
            refuse_value(command, row, word);
        else if (is_all(command))
            answer_error(command, nh_profile_start((size_t)rate) == 0 ? 0 : errno);
    } else if (strcmp(what, "stop") == 0) {
        if (!is_all(command))
            return;
        nh_profile_stop();
        accept_command(command);
    } else if (strcmp(what, "write") == 0) {
        if (is_all(command) && has_file(command))
            answer_error(command, profile_write_to(command->file));
    } else {
        refuse(command, "a profile can be told to start, stop or write, not to", what);
    }
}

void control_command(char *line, int file, struct text *answer)
{
    static const struct {
        const char *word;
        void (*run)(struct command *command);
    } commands[] = {
        {"get", get},         {"set", set},   {"scavenge", scavenge}, {"migrate", migrate},
        {"profile", profile}, {"dump", dump}, {"stats", stats},
    };
    struct command command = {.rest = line, .file = file, .answer = answer};
    const char *word = next_word(&command);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(word, commands[i].word) == 0) {
            commands[i].run(&command);
            return;
        }
    refuse(&command, "there is no command", word);
}
