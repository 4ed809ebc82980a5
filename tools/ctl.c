/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl.c - nearheap-ctl: asks a running process about its heap, and changes what may change
 * while it runs.  What is sent and answered, src/control_path.h tells.
 */
#include "about.h"
#include "control_path.h"
#include "ctl_answer.h"
#include "ctl_ask.h"
#include "ctl_end.h"
#include "ctl_report.h"
#include "options.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX     "NEARHEAP_"
#define WAIT_S     60
#define DECIMAL    10
#define RANGE_ROOM 32

/* What a command's answer is. */
enum answer { ANSWER_NONE, ANSWER_OPTIONS, ANSWER_VALUES, ANSWER_TEXT, ANSWER_BINARY };

struct request {
    struct ctl_asked asked;
    const char *output; /* NULL: standard output */
    bool json;
    char command[CONTROL_COMMAND_ROOM];
    enum answer answer;
};

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
          "  --wait SECONDS          how long to wait for all of the answer (default: 60)\n"
          "  -h, --help              this text\n"
          "  --version               print the version\n\n"
          "Options that are live:\n",
          stdout);
    for (int i = 0; i < OPTIONS; i++)
        if (options_row((enum option_id)i)->when == OPTION_LIVE)
            printf("  %s\n      %s\n", options_row((enum option_id)i)->variable,
                   options_row((enum option_id)i)->meaning);
    fputs("\nStatus: 0, 1 when the process is not there or refuses, or nothing can be written,\n"
          "2 for a wrong command line.\n"
          "For example:\n\n"
          "  nearheap-ctl $(pidof redis-server) set DECAY 1000\n"
          "  nearheap-ctl $(pidof redis-server) profile write -o /tmp/now.pb.gz\n",
          stdout);
}

/* ---- The command line ---- */

#define WORD_ADDS 3 /* to its characters: a space, a newline, the end */

static void check_line(const char *word)
{
    if (strchr(word, '\n') != NULL)
        ctl_end(STATUS_USAGE, "a word of the command has more than one line");
}

/* decay, node-limit and NEARHEAP_DECAY are variables' names, too. */
static void add_name(struct request *request, const char *name)
{
    size_t used = strlen(request->command);
    bool whole = strncasecmp(name, PREFIX, strlen(PREFIX)) == 0;
    if (used + strlen(PREFIX) + strlen(name) + WORD_ADDS > sizeof request->command)
        ctl_end(STATUS_USAGE, "a name is too long");
    check_line(name);
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
    if (used + strlen(word) + WORD_ADDS > sizeof request->command)
        ctl_end(STATUS_USAGE, "the command is too long");
    check_line(word);
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
        ctl_end(STATUS_USAGE, "'%s%s%s' takes %s values, not %d; see --help", command->word,
                between, second, range, values);
    }
    if (request->output != NULL && !is_report(command->answer))
        ctl_end(STATUS_USAGE,
                "'%s%s%s' writes no file: --output is for dump, stats and profile write",
                command->word, between, second);
    if (request->json && !command->json)
        ctl_end(STATUS_USAGE,
                "'%s%s%s' prints no JSON: --json is for get, stats, scavenge and migrate",
                command->word, between, second);
}

/* What is missing or wrong. */
static void __attribute__((noreturn)) end_unknown(char **words, int count)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].second != NULL && strcmp(words[0], commands[i].word) == 0)
            ctl_end(STATUS_USAGE, "'%s' is to be followed by start, stop or write; see --help",
                    words[0]);
    ctl_end(STATUS_USAGE, "there is no command '%s%s%s'; see --help", words[0],
            count > 1 ? " " : "", count > 1 ? words[1] : "");
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
        ctl_end(STATUS_USAGE, "'%s' is no %s; see --help", text, what);
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
            request->asked.wait_s = read_number(argv[++i], 1, "time to wait");
        } else {
            ctl_end(STATUS_USAGE, "unknown argument '%s'; see --help", argv[i]);
        }
    }
    if (count < 2)
        ctl_end(STATUS_USAGE, "a process and a command are needed; see --help");
    request->asked.pid = read_number(words[0], 1, "process id");
    read_command(request, words + 1, count - 1);
}

static void run(struct request *request)
{
    static char answer[CONTROL_ANSWER_ROOM];
    struct ctl_report report = {.output = -1, .scratch = -1};
    ctl_ask_connect(&request->asked);
    if (is_report(request->answer))
        ctl_report_open(&report, request->output, request->asked.ours);
    if (request->answer == ANSWER_BINARY && isatty(report.output))
        ctl_end(STATUS_USAGE, "that is not for a terminal: say where to by --output");
    memcpy(request->command + strlen(request->command), "\n", 2); /* there is WORD_ADDS */
    ctl_ask_send(&request->asked, request->command, report.scratch);
    char *rest = ctl_ask_receive(&request->asked, answer);
    if (is_report(request->answer))
        ctl_report_finish(&report, request->asked.pid, request->answer == ANSWER_TEXT);
    else if (request->answer == ANSWER_OPTIONS)
        ctl_answer_options(stdout, rest, request->json);
    else if (request->answer == ANSWER_VALUES && !ctl_answer_values(stdout, rest, request->json))
        ctl_end_nonsense(request->asked.pid);
}

int main(int argc, char **argv)
{
    struct request request = {.asked = {.wait_s = WAIT_S}};
    output_begin("nearheap-ctl", STATUS_REFUSED);
    read_arguments(argc, argv, &request);
    run(&request);
    return EXIT_SUCCESS;
}
