/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * options.c - any text as the value of any option, and as a list of nodes' limits: it is
 * refused, or what comes out is what the table allows.
 */
#include "fuzz.h"

#include "limits.h"
#include "node_limit.h"
#include "options.h"

#include <string.h>

#define TEXT_MOST 1024

static void parse_option(const struct option *option, const char *text)
{
    long value = option->dflt;
    if (!options_parse(option, text, &value))
        return;
    switch (option->kind) {
    case OPTION_WORD: {
        /* The word at that position is the text. */
        const char *word = option->words;
        for (; value > 0; value--)
            word += strcspn(word, "|") + 1;
        FUZZ_CHECK(strncmp(word, text, strlen(text)) == 0);
        FUZZ_CHECK(strchr("|", word[strlen(text)]) != NULL);
        break;
    }
    case OPTION_NUMBER:
    case OPTION_BYTES: {
        FUZZ_CHECK(value >= option->least && value <= option->most);
        /* Digits and at most one letter; the number again. */
        char *end;
        long again = strtol(text, &end, 10);
        long shift = *end == '\0' ? 0 : (strchr("kmg", *end | 0x20) - "kmg" + 1) * 10;
        FUZZ_CHECK(again * (1L << shift) == value);
        FUZZ_CHECK(*end == '\0' || (option->kind == OPTION_BYTES && end[1] == '\0'));
        break;
    }
    case OPTION_TEXT:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_exact_text(data, size, TEXT_MOST);
    for (enum option_id id = 0; id < OPTIONS; id++)
        parse_option(options_row(id), text);
    /* A list is sound or not, whichever node is asked about. */
    size_t bytes[3];
    bool sound = node_limit_parse(text, 0, &bytes[0]);
    for (int node = 1; node < 3; node++)
        FUZZ_CHECK(node_limit_parse(text, node, &bytes[node]) == sound);
    FUZZ_CHECK(!sound || strchr(text, '=') != NULL ||
               (bytes[0] == bytes[1] && bytes[0] == bytes[2]));
    char why[NH_LINE_MAX];
    struct text problem = {.at = why, .room = sizeof(why)};
    bool accepted = node_limit_is_sound(text, &problem);
    FUZZ_CHECK(accepted == (problem.used == 0));
    FUZZ_CHECK(!accepted || (sound && bytes[0] >= NH_PAGE && bytes[1] >= NH_PAGE));
    free(text);
    return 0;
}
