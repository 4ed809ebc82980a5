/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * printable.h - text of another process's, for a terminal or another program.
 */
#ifndef NH_PRINTABLE_H
#define NH_PRINTABLE_H

#include <stddef.h>

/* What is not printable ASCII becomes a question mark. */
static inline char printable(char letter)
{
    return letter < ' ' || letter > '~' ? '?' : letter;
}

static inline void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        *text = printable(*text);
}

/* Of a text in lines, any part of it; zeros are not its end. */
static inline void make_lines_printable(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\n')
            text[i] = printable(text[i]);
}

#endif
