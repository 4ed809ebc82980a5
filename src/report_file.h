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
#include "log.h"

bool report_file_wanted(const char *where);
/* Adds the path of a file.  %p becomes the process id; without that, a fork's child appends its
 * own, so that children do not overwrite their parents' files.  False when there is no room. */
bool report_file_path(struct text *path, const char *where);
/* Makes or empties the file, by system calls alone; negative, with errno, when it cannot. */
int report_file_create(const char *path);
/* A descriptor to write to; negative, and a line is printed that names the variable, when the
 * file cannot be made. */
int report_file_open(const char *where, const char *variable);
/* Ends it.  `error` is 0 or of what was written, of which a line is printed then. */
void report_file_close(int fd, const char *where, const char *variable, int error);

#endif
