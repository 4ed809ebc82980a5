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
    /* Not nh_version, with which the engine would come into the tool, and begin there. */
    printf("%s %d.%d.%d\n", tool, NH_VERSION_MAJOR, NH_VERSION_MINOR, NH_VERSION_PATCH);
}

#endif
