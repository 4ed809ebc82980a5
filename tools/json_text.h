/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * json_text.h - a string as JSON writes it, for the tools that print JSON.
 */
#ifndef NH_JSON_TEXT_H
#define NH_JSON_TEXT_H

#include <stdio.h>

/* In quotes; control characters are as they were. */
static inline void json_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

#endif
