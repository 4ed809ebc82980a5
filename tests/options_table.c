/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints the table of options as the README shows it, from src/options.def.
 */
#include "tools/option_text.h"

#include <stdio.h>

int main(void)
{
    puts("| variable | values | default | live | meaning |\n| --- | --- | --- | --- | --- |");
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        printf("| `%s` | ", row->variable);
        option_print_values(row);
        printf(" | ");
        option_print_default(row);
        printf(" | %s | %s |\n", row->when == OPTION_LIVE ? "yes" : "", row->meaning);
    }
    return 0;
}
