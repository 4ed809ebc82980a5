/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run.c - nearheap-run: starts a program on nearheap, or says how.
 *
 * Options become environment variables; their names, bounds and words are those of
 * src/options.def, read by the engine's own parsers, so that nothing is accepted here that
 * the library would not take.  The engine is linked under its nh_ names, for that alone.
 */
#include "about.h"
#include "machine_checks.h"
#include "option_text.h"
#include "output.h"
#include "run_print.h"
#include "run_values.h"

#include "limits.h"
#include "os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As env, nice and nohup have them. */
#define STATUS_OURS       125 /* a mistake here: nothing was started */
#define STATUS_NO_EXEC    126
#define STATUS_NO_PROGRAM 127
#define STATUS_FOUND      1 /* --check found something */

#define LIBRARY   "libnearheap.so.0"
#define PATH_ROOM 4096 /* PATH_MAX, the end included */

/* A profile's line, and those of what it sets, up to the next. */
static const struct profile_line {
    const char *name, *purpose; /* NULL in a line that sets */
    enum option_id option;
    const char *value, *why;
} profile_lines[] = {
#define PROFILE(name, purpose)   {name, purpose, OPTIONS, NULL, NULL},
#define SETS(option, value, why) {NULL, NULL, OPT_##option, value, why},
#include "run_profiles.def"
#undef PROFILE
#undef SETS
};
#define PROFILE_LINES (sizeof profile_lines / sizeof profile_lines[0])

enum action { RUN, PRINT_ENV, PRINT_UNIT, CHECK };

struct request {
    enum action action;
    const char *profile, *library; /* NULL: none, the one that lies here */
    const char *system;
    bool quiet;
};

static void __attribute__((noreturn, format(printf, 2, 3))) end(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("nearheap-run: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static void print_allowed(const struct option *row)
{
    switch (row->kind) {
    case OPTION_WORD:
        printf("one of %s", row->words);
        break;
    case OPTION_NUMBER:
    case OPTION_BYTES:
        printf("a whole number from %ld to %ld%s", row->least, row->most,
               row->kind == OPTION_BYTES ? ", k, m or g may follow" : "");
        break;
    case OPTION_TEXT:
        printf("a text");
        break;
    }
}

static void print_help(void)
{
    fputs("usage: nearheap-run [OPTION ...] [--] PROGRAM [ARGUMENT ...]\n"
          "       nearheap-run [OPTION ...] --print-env | --print-unit | --check [PROGRAM]\n\n"
          "Looks at the machine, says what to change and why, and starts the program with\n"
          "libnearheap.so in malloc's place.\n\n"
          "  --profile NAME  what the program needs most; an option or a variable that is set\n"
          "                  in the environment goes before what the profile says:\n",
          stdout);
    for (size_t i = 0; i < PROFILE_LINES; i++) {
        const struct profile_line *line = &profile_lines[i];
        if (line->name != NULL)
            printf("      %s: %s\n", line->name, line->purpose);
        else
            printf("          %s=%s: %s\n", options_row(line->option)->variable, line->value,
                   line->why);
    }
    fputs("  --lib PATH      the library (default: the one that this was installed with)\n"
          "  --print-env     print the variables, and their export, for a shell's eval or a\n"
          "                  unit's EnvironmentFile=\n"
          "  --print-unit    print a drop-in for a unit of systemd\n"
          "  --check         look at the machine, and PROGRAM if it is named; status 1 if\n"
          "                  there is something to change\n"
          "  --quiet         start the program without a look and without a word\n"
          "  --system DIR    look for the kernel's files in DIR/sys and DIR/proc (for tests)\n"
          "  -h, --help      this text\n"
          "  --version       print the version\n\n"
          "Options of the library, each the variable of its name; others that are set in the\n"
          "environment stay:\n",
          stdout);
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        char name[OPTION_NAME_ROOM];
        option_name(row, name);
        printf("  --%s VALUE\n      %s:\n      ", name, row->meaning);
        print_allowed(row);
        puts(row->when == OPTION_LIVE ? "; nearheap-ctl changes it while the program runs" : "");
    }
    printf(
        "\nStatus: the program's; %d when something is wrong here, %d when the program cannot be\n"
        "started, %d when there is none. For example:\n\n"
        "  nearheap-run --profile memory --stats /tmp/stats.%%p -- redis-server --port 7777\n"
        "  nearheap-run --profile latency --print-unit >"
        "/etc/systemd/system/redis-server.service.d/nearheap.conf\n",
        STATUS_OURS, STATUS_NO_EXEC, STATUS_NO_PROGRAM);
}

/* ---- Options into the environment ---- */

static void set(enum option_id option, const char *value, bool replace)
{
    const struct option *row = options_row(option);
    char why[NH_LINE_MAX], name[OPTION_NAME_ROOM];
    struct text problem = {.at = why, .room = sizeof why};
    option_name(row, name);
    if (!run_value_is_sound(option, value, &problem))
        end(STATUS_OURS, "--%s: %s", name, why);
    if (setenv(row->variable, value, replace) != 0)
        end(STATUS_OURS, "no memory for the environment");
}

/* Ends the process if a variable stands there that the library would not take. */
static void check_environment(void)
{
    char why[NH_LINE_MAX];
    for (char **at = environ; *at != NULL; at++) {
        struct text problem = {.at = why, .room = sizeof why};
        size_t length = strcspn(*at, "=");
        if (strncmp(*at, OPTION_PREFIX, strlen(OPTION_PREFIX)) != 0 || (*at)[length] == '\0')
            continue;
        enum option_id option = options_find(*at, length);
        if (option == OPTIONS)
            end(STATUS_OURS, "%.*s is not an option of nearheap, but stands in the environment",
                (int)length, *at);
        if (!run_value_is_sound(option, *at + length + 1, &problem))
            end(STATUS_OURS, "%s", why);
    }
}

/* The profile's first line; ends the process if there is none. */
static size_t find_profile(const char *name)
{
    for (size_t i = 0; i < PROFILE_LINES; i++)
        if (profile_lines[i].name != NULL && strcmp(profile_lines[i].name, name) == 0)
            return i;
    fprintf(stderr, "nearheap-run: --profile: no profile is called '%s': there are", name);
    for (size_t i = 0; i < PROFILE_LINES; i++)
        if (profile_lines[i].name != NULL)
            fprintf(stderr, " %s", profile_lines[i].name);
    fputc('\n', stderr);
    exit(STATUS_OURS);
}

static void apply_profile(const char *name)
{
    for (size_t i = find_profile(name) + 1; i < PROFILE_LINES && profile_lines[i].name == NULL; i++)
        set(profile_lines[i].option, profile_lines[i].value, false);
}

/* The file's path from the root; false, with errno, if it cannot be read.  What its last
 * name links to is left out: a unit that has libnearheap.so.0 finds it after an upgrade,
 * too. */
static bool absolute(const char *file, char path[PATH_ROOM])
{
    const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
    char folder[2 * PATH_ROOM];
    if (access(file, R_OK) != 0)
        return false;
    snprintf(folder, sizeof folder, "./%.*s", (int)(name - file), file);
    if (realpath(*file == '/' ? folder + 2 : folder, path) == NULL)
        return false;
    size_t length = strlen(path);
    return (size_t)snprintf(path + length, PATH_ROOM - length, "/%s", name) < PATH_ROOM - length;
}

/* The library beside this program: as both were installed, or as they were built. */
static void find_library(char path[PATH_ROOM])
{
    static const char *const places[] = {NH_BIN_TO_LIB "/" LIBRARY, "../" LIBRARY};
    char here[PATH_ROOM], there[2 * PATH_ROOM];
    ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);
    char *slash = length > 0 ? memrchr(here, '/', (size_t)length) : NULL;
    if (slash == NULL)
        end(STATUS_OURS, "where this program lies cannot be told: give --lib");
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(there, sizeof there, "%s%s", here, places[i]);
        if (absolute(there, path))
            return;
    }
    end(STATUS_OURS, "there is no %s%s: give --lib", here, places[0]);
}

static void preload(const char *library)
{
    char found[PATH_ROOM];
    if (library == NULL)
        find_library(found);
    else if (!absolute(library, found))
        end(STATUS_OURS, "--lib: %s: %s", library, strerror(errno));
    else if (!check_is_library(found))
        end(STATUS_OURS, "--lib: %s is no library for programs of this machine", library);
    if (strpbrk(found, " :") != NULL)
        end(STATUS_OURS,
            "%s: " RUN_PRELOAD " cannot name a file with a space or a colon in its path: "
            "give --lib one without",
            found);
    const char *others = getenv(RUN_PRELOAD);
    char *all = NULL;
    /* Ours first: of several mallocs the first is used. */
    bool some = others != NULL && *others != '\0';
    if (asprintf(&all, some ? "%s:%s" : "%s", found, others) < 0 ||
        setenv(RUN_PRELOAD, all, 1) != 0)
        end(STATUS_OURS, "no memory for the environment");
    free(all);
}

/* ---- What can be asked for ---- */

/* What is in force, in one line on stderr. */
static void announce(const char *profile)
{
    fprintf(stderr, "nearheap-run: profile %s:", profile != NULL ? profile : "none");
    bool any = false;
    for (int i = 0; i < OPTIONS; i++) {
        const char *variable = options_row((enum option_id)i)->variable;
        const char *value = getenv(variable);
        if (value != NULL)
            fprintf(stderr, " %s=%s", variable, value);
        any |= value != NULL;
    }
    fputs(any ? "\n" : " nearheap's defaults\n", stderr);
}

/* The path that execvp will find; NULL if none. */
static const char *find_program(const char *name, char found[2 * PATH_ROOM])
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') != NULL)
        return name;
    if (path == NULL)
        path = "/bin:/usr/bin"; /* as execvp has it */
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        snprintf(found, 2 * PATH_ROOM, "%.*s/%s", length > 0 ? (int)length : 1,
                 length > 0 ? path : ".", name);
        if (access(found, X_OK) == 0)
            return found;
        path += length + (path[length] == ':');
    }
    return NULL;
}

static void __attribute__((noreturn)) end_without(const char *program, int error)
{
    end(error == ENOENT ? STATUS_NO_PROGRAM : STATUS_NO_EXEC, "%s: %s", program, strerror(error));
}

static void __attribute__((noreturn)) start(char **command)
{
    execvp(command[0], command);
    end_without(command[0], errno);
}

/* Ends the process if start could not start it. */
static void expect_program(const char *name)
{
    char found[2 * PATH_ROOM];
    struct stat file;
    const char *path = find_program(name, found);
    if (path == NULL)
        end_without(name, ENOENT);
    if (stat(path, &file) != 0 || access(path, X_OK) != 0)
        end_without(name, errno);
    if (!S_ISREG(file.st_mode))
        end_without(name, EACCES);
}

/* ---- The command line.  getopt_long has a struct option, as the engine does. ---- */

/* Whether an argument is the option `name`: alone, or with "=VALUE", which `value` then
 * points to. */
static bool is_option(const char *argument, const char *name, const char **value)
{
    size_t length = strlen(name);
    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, name, length) != 0)
        return false;
    const char *rest = argument + 2 + length;
    *value = *rest == '=' ? rest + 1 : NULL;
    return *rest == '\0' || *rest == '=';
}

/* The value of the option argv[*at]: behind its "=", or the next argument. */
static const char *value_of(char **argv, int *at, const char *value)
{
    if (value == NULL && argv[*at + 1] != NULL)
        value = argv[++*at];
    if (value == NULL)
        end(STATUS_OURS, "%s needs a value; see --help", argv[*at]);
    return value;
}

static bool read_engine_option(char **argv, int *at)
{
    const char *value;
    for (int i = 0; i < OPTIONS; i++) {
        char name[OPTION_NAME_ROOM];
        option_name(options_row((enum option_id)i), name);
        if (is_option(argv[*at], name, &value)) {
            set((enum option_id)i, value_of(argv, at, value), true);
            return true;
        }
    }
    return false;
}

static bool read_own_option(char **argv, int *at, struct request *request)
{
    const char *value;
    const char **const texts[] = {&request->profile, &request->library, &request->system};
    static const char *const text_names[] = {"profile", "lib", "system"};
    static const char *const actions[] = {
        [PRINT_ENV] = "print-env", [PRINT_UNIT] = "print-unit", [CHECK] = "check"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (is_option(argv[*at], text_names[i], &value)) {
            *texts[i] = value_of(argv, at, value);
            return true;
        }
    for (int i = PRINT_ENV; i <= CHECK; i++)
        if (is_option(argv[*at], actions[i], &value) && value == NULL) {
            request->action = (enum action)i;
            return true;
        }
    if (strcmp(argv[*at], "--quiet") == 0)
        return request->quiet = true;
    if (asks_for_help(argv[*at])) {
        print_help();
        exit(0);
    }
    if (asks_for_version(argv[*at])) {
        print_version("nearheap-run");
        exit(0);
    }
    return false;
}

/* Reads the options; the rest is the program and its arguments. */
static char **read_arguments(char **argv, struct request *request)
{
    int at = 1;
    for (; argv[at] != NULL && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!read_own_option(argv, &at, request) && !read_engine_option(argv, &at))
            end(STATUS_OURS, "unknown argument '%s'; see --help", argv[at]);
    }
    return argv + at;
}

static void tell(const char *line)
{
    fprintf(stderr, "nearheap-run: check: %s\n", line);
}

static unsigned look(const struct request *request, const char *program)
{
    char found[2 * PATH_ROOM];
    long huge = OS_HUGE_DEFAULT;
    const char *set_huge = getenv(options_row(OPT_HUGE)->variable);
    if (set_huge != NULL)
        options_parse(options_row(OPT_HUGE), set_huge, &huge);
    struct check_facts facts = {.system = request->system,
                                .program = program != NULL ? find_program(program, found) : NULL,
                                .huge_always = huge == OS_HUGE_ALWAYS,
                                .latency = request->profile != NULL &&
                                           strcmp(request->profile, "latency") == 0,
                                .tell = tell};
    return check_machine(&facts);
}

int main(int argc, char **argv)
{
    struct request request = {.action = RUN, .system = ""};
    output_begin("nearheap-run", STATUS_OURS);
    if (argc < 1)
        return STATUS_OURS;
    char **command = read_arguments(argv, &request);
    if (request.profile != NULL)
        apply_profile(request.profile);
    check_environment();
    if (request.action == CHECK && command[0] != NULL)
        expect_program(command[0]);
    if (request.action == CHECK)
        return look(&request, command[0]) > 0 ? STATUS_FOUND : 0;
    preload(request.library);
    if (request.action != RUN) {
        run_print_environment(request.action == PRINT_UNIT);
        return 0;
    }
    if (command[0] == NULL)
        end(STATUS_OURS, "no program is named; see --help");
    if (!request.quiet) {
        look(&request, command[0]);
        announce(request.profile);
    }
    start(command);
}
