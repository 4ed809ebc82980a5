/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run_print.c - see run_print.h.
 */
#include "run_print.h"

#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text and a quotation mark, so that a shell and systemd read the same again. */
static void put_quoted(const char *text, size_t length, bool unit)
{
    for (const char *at = text; at < text + length; at++) {
        if (strchr(unit ? "\"\\" : "\"\\$`", *at) != NULL)
            putchar('\\');
        if (unit && *at == '%') /* else it is one of systemd's own words */
            putchar('%');
        putchar(*at);
    }
    puts("\"");
}

static void print_variable(const char *name, const char *value, bool unit)
{
    printf(unit ? "Environment=\"%s=" : "%s=\"", name);
    put_quoted(value, strlen(value), unit);
}

/* A unit that allows no programs but in some folders, those of the system among them, allows
 * the library's, too; a dash lets the folder be missing. */
static void print_folder(const char *library)
{
    static const char *const usual[] = {"/usr/lib/", "/lib/"};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strncmp(library, usual[i], strlen(usual[i])) == 0)
            return;
    const char *slash = memrchr(library, '/', strcspn(library, ":"));
    printf("# Where NoExecPaths= is set, the library can be loaded:\nExecPaths=\"-");
    put_quoted(library, slash > library ? (size_t)(slash - library) : 1, true);
}

/* A file of variables for systemd may have this line, which it ignores, having no "=". */
static void print_export(void)
{
    fputs("export " RUN_PRELOAD, stdout);
    for (int i = 0; i < OPTIONS; i++) {
        const char *variable = options_row((enum option_id)i)->variable;
        if (getenv(variable) != NULL)
            printf(" %s", variable);
    }
    putchar('\n');
}

void run_print_environment(bool unit)
{
    if (unit)
        puts("# To be put into /etc/systemd/system/NAME.service.d/nearheap.conf; then:\n"
             "# systemctl daemon-reload && systemctl restart NAME\n"
             "[Service]");
    const char *library = getenv(RUN_PRELOAD); /* put there by who calls */
    if (library == NULL)
        return;
    print_variable(RUN_PRELOAD, library, unit);
    for (int i = 0; i < OPTIONS; i++) {
        const char *variable = options_row((enum option_id)i)->variable;
        const char *value = getenv(variable);
        if (value != NULL)
            print_variable(variable, value, unit);
    }
    if (!unit) {
        print_export();
        return;
    }
    puts("# Calls that place memory, where SystemCallFilter= refuses them, fail, and do not end "
         "the\n"
         "# program:\n"
         "SystemCallErrorNumber=EPERM");
    print_folder(library);
}
