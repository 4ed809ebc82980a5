/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * about.h - what every tool tells of itself.  version.py is the same for those in Python.
 */
#ifndef NH_ABOUT_H
#define NH_ABOUT_H

#include <nearheap.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool asks_for_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static inline bool asks_for_version(const char *argument)
{
    return strcmp(argument, "--version") == 0;
}

static inline void print_version(const char *tool)
{
    printf("%s %s\n", tool, nh_version());
}

#endif
