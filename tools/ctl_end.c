/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_end.c - see ctl_end.h.
 */
#include "ctl_end.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void ctl_end(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("nearheap-ctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

void ctl_end_nonsense(long pid)
{
    ctl_end(STATUS_REFUSED, "process %ld does not answer as it should", pid);
}
