/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * answer.c - any text as what a process answers nearheap-ctl: what comes out has no control
 * characters.
 */
#include "fuzz.h"

#include "control_path.h"
#include "tools/ctl_answer.h"

#include <stdbool.h>

static void print(const uint8_t *data, size_t size, bool values, bool json)
{
    char answer[CONTROL_ANSWER_ROOM], *text = NULL;
    const char *why;
    size_t length = 0;
    fuzz_text(data, size, answer, sizeof(answer) - 1);
    char *rest = ctl_answer_read(answer, &why);
    if (rest == NULL) {
        if (why != NULL)
            fuzz_check_text(why, strlen(why));
        return;
    }
    FILE *to = open_memstream(&text, &length);
    FUZZ_CHECK(to != NULL);
    bool printed = true;
    if (values)
        printed = ctl_answer_values(to, rest, json);
    else
        ctl_answer_options(to, rest, json);
    FUZZ_CHECK(fclose(to) == 0);
    FUZZ_CHECK(printed || length == 0);
    fuzz_check_text(text, length);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int form = 0; form < 4; form++)
        print(data, size, (form & 1) != 0, (form & 2) != 0);
    return 0;
}
