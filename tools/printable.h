/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * printable.h - text of another process's, for a terminal or another program.
 */
#ifndef NH_PRINTABLE_H
#define NH_PRINTABLE_H

/* What is not printable ASCII becomes a question mark. */
static inline void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

#endif
