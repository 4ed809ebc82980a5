/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints the table of options as the README shows it, from src/options.def.
 */
#include "options.h"

#include <stdio.h>

static void print_bytes(long n)
{
    if (n >= 1L << 20 && n % (1L << 20) == 0)
        printf("%ldm", n >> 20);
    else if (n >= 1L << 10 && n % (1L << 10) == 0)
        printf("%ldk", n >> 10);
    else
        printf("%ld", n);
}

int main(void)
{
    puts("| variable | values | default | live | meaning |\n| --- | --- | --- | --- | --- |");
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        printf("| `%s` | ", row->variable);
        switch (row->kind) {
        case OPTION_WORD:
            for (const char *at = row->words; *at != '\0'; at++)
                *at == '|' ? fputs(", ", stdout) : putchar(*at);
            printf(" | ");
            for (const char *at = row->words; *at != '\0' && *at != '|'; at++)
                putchar(*at);
            break;
        case OPTION_NUMBER:
            printf("%ld to %ld | %ld", row->least, row->most, row->dflt);
            break;
        case OPTION_BYTES:
            print_bytes(row->least);
            printf(" to ");
            print_bytes(row->most);
            printf(" (k, m, g) | ");
            print_bytes(row->dflt);
            break;
        case OPTION_TEXT:
            printf("text | unset");
            break;
        }
        printf(" | %s | %s |\n", row->when == OPTION_LIVE ? "yes" : "", row->meaning);
    }
    return 0;
}
