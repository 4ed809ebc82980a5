// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How a suite's program tells of its cases here: "case NAME: ok" or "case NAME: failed", and
// why, in lines of their own; and at its end that all were run.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static const char *case_name;
static bool case_failed_now;
static int cases_failed;

static inline void case_begin(const char *name)
{
    case_name = name;
    case_failed_now = false;
}

__attribute__((format(printf, 1, 2))) static inline void case_fail(const char *format, ...)
{
    va_list arguments;
    case_failed_now = true;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static inline void case_end(void)
{
    printf("case %s: %s\n", case_name, case_failed_now ? "failed" : "ok");
    fflush(stdout);
    cases_failed += case_failed_now;
}

static inline int cases_end(void)
{
    puts("all cases were run");
    return cases_failed;
}
