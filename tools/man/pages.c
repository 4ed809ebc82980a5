/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * pages.c - fills in what a manual page does not say itself but takes from the tables of
 * the sources.  Runs when the project is built.
 *
 * usage: man_pages TEMPLATE >PAGE
 *
 * The template is a page in mdoc(7).  Of its comments these are replaced by lists:
 *   .\" @options@       the environment variables, from src/options.def
 *   .\" @run_options@   the same as options of nearheap-run
 *   .\" @profiles@      what nearheap-run --profile sets, from tools/run_profiles.def
 *   .\" @statistics@    a node's counters, from include/nearheap.h
 *   .\" @pairs@         those of a pair of nodes
 */
#include "tools/option_text.h"
#include "tools/output.h"

#include "nearheap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LINE_ROOM      1024
#define STATUS_TROUBLE 2

/* A text, in which roff shall see none of its own signs; a capital first if asked, but not of
 * what is typed as it stands: synthetic:DESCRIPTION. */
static void put_text(const char *text, bool capital)
{
    capital = capital && memchr(text, ':', strcspn(text, " ")) == NULL;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\')
            fputs("\\e", stdout);
        else if (*at == '-')
            fputs("\\-", stdout);
        else
            putchar(capital && at == text ? toupper((unsigned char)*at) : *at);
    }
}

static void put_item(const char *macro, const char *name)
{
    printf(".It %s %s\n", macro, name);
}

static void put_list_begin(void)
{
    puts(".Bl -tag -width Ds");
}

static void put_list_end(void)
{
    puts(".El");
}

static void put_values(const struct option *row)
{
    fputs("Values: ", stdout);
    option_print_values(row);
    puts(".");
}

static void put_options(void)
{
    put_list_begin();
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        put_item("Ev", row->variable);
        put_text(row->meaning, true);
        puts(".");
        put_values(row);
        fputs("Default: ", stdout);
        option_print_default(row);
        puts(row->when == OPTION_LIVE ? "; live." : ".");
    }
    put_list_end();
}

static void put_run_options(void)
{
    put_list_begin();
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        char name[OPTION_NAME_ROOM];
        option_name(row, name);
        fputs(".It Fl \\-", stdout);
        put_text(name, false);
        puts(" Ar VALUE");
        printf(".Ev %s :\n", row->variable);
        put_text(row->meaning, false);
        puts(".");
        put_values(row);
    }
    put_list_end();
}

static void put_profile(const char *name, const char *purpose)
{
    put_item("Cm", name);
    put_text(purpose, true);
    puts(":");
}

static void put_setting(enum option_id option, const char *value, const char *why)
{
    printf(".Pp\n.Ev %s Ns =", options_row(option)->variable);
    put_text(value, false);
    puts(" ;");
    put_text(why, false);
    puts(".");
}

static void put_profiles(void)
{
    put_list_begin();
#define PROFILE(name, purpose)   put_profile(name, purpose);
#define SETS(option, value, why) put_setting(OPT_##option, value, why);
#include "tools/run_profiles.def"
#undef PROFILE
#undef SETS
    put_list_end();
}

static void put_counter(const char *name, const char *unit, const char *meaning)
{
    put_item("Va", name);
    printf("(%s) ", unit);
    put_text(meaning, false);
    puts(".");
}

#define PUT_COUNTER(name, unit, meaning) put_counter(#name, unit, meaning);

static void put_statistics(void)
{
    put_list_begin();
    NH_NODE_STATS(PUT_COUNTER)
    put_list_end();
}

static void put_pairs(void)
{
    put_list_begin();
    NH_PAIR_STATS(PUT_COUNTER)
    put_list_end();
}

/* The list that a line of the template stands for; false if it is no such line. */
static bool put_list(const char *line)
{
    static const struct {
        const char *line;
        void (*put)(void);
    } lists[] = {{".\\\" @options@\n", put_options},
                 {".\\\" @run_options@\n", put_run_options},
                 {".\\\" @profiles@\n", put_profiles},
                 {".\\\" @statistics@\n", put_statistics},
                 {".\\\" @pairs@\n", put_pairs}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(line, lists[i].line) == 0) {
            lists[i].put();
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    char line[LINE_ROOM];
    output_begin("man_pages", STATUS_TROUBLE);
    FILE *template = argc == 2 ? fopen(argv[1], "re") : NULL;
    if (template == NULL) {
        fputs("usage: man_pages TEMPLATE >PAGE\n", stderr);
        return STATUS_TROUBLE;
    }
    while (fgets(line, sizeof line, template) != NULL)
        if (!put_list(line))
            fputs(line, stdout);
    bool whole = ferror(template) == 0;
    fclose(template);
    if (whole)
        return 0;
    fprintf(stderr, "man_pages: cannot read %s\n", argv[1]);
    return STATUS_TROUBLE;
}
