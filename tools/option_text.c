/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * option_text.c - see option_text.h.
 */
#include "option_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KIB (1L << 10)
#define MIB (1L << 20)

void option_name(const struct option *row, char name[OPTION_NAME_ROOM])
{
    size_t i = 0;
    const char *at = row == options_row(OPT_PROFILE) ? OPTION_PREFIX "PROFILE_FILE" : row->variable;
    for (at += strlen(OPTION_PREFIX); *at != '\0' && i < OPTION_NAME_ROOM - 1; at++)
        name[i++] = *at == '_' ? '-' : (char)tolower((unsigned char)*at);
    name[i] = '\0';
}

static void print_bytes(long n)
{
    if (n >= MIB && n % MIB == 0)
        printf("%ldm", n / MIB);
    else if (n >= KIB && n % KIB == 0)
        printf("%ldk", n / KIB);
    else
        printf("%ld", n);
}

void option_print_values(const struct option *row)
{
    switch (row->kind) {
    case OPTION_WORD:
        for (const char *at = row->words; *at != '\0'; at++)
            *at == '|' ? fputs(", ", stdout) : putchar(*at);
        break;
    case OPTION_NUMBER:
        printf("%ld to %ld", row->least, row->most);
        break;
    case OPTION_BYTES:
        print_bytes(row->least);
        printf(" to ");
        print_bytes(row->most);
        printf(" (k, m, g)");
        break;
    case OPTION_TEXT:
        printf("text");
        break;
    }
}

void option_print_default(const struct option *row)
{
    switch (row->kind) {
    case OPTION_WORD: /* the first */
        printf("%.*s", (int)strcspn(row->words, "|"), row->words);
        break;
    case OPTION_NUMBER:
        printf("%ld", row->dflt);
        break;
    case OPTION_BYTES:
        print_bytes(row->dflt);
        break;
    case OPTION_TEXT:
        printf("unset");
        break;
    }
}
