/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * report_file.h - where an option says that a report goes: nowhere ("" or "0"), to
 * standard error ("1"), or to a file.
 *
 * Never allocates.
 */
#ifndef NH_REPORT_FILE_H
#define NH_REPORT_FILE_H

#include "base.h"

bool report_file_wanted(const char *where);
/* A descriptor to write to; negative, and a line is printed that names the variable, when the
 * file cannot be made.  %p in its path becomes the process id, so that children do not
 * overwrite their parents' files. */
int report_file_open(const char *where, const char *variable);
void report_file_close(int fd);

#endif
