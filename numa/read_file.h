/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * read_file.h - small files of the kernel, read where malloc may not be called.
 */
#ifndef NH_READ_FILE_H
#define NH_READ_FILE_H

#include <stddef.h>

/* The beginning of the file, with a terminating zero; its length, or -1.  errno
 * is kept. */
long read_file(const char *path, char *text, size_t room);
/* The same from where `name` is found first, wherever that is; -1 if it is not. */
long read_file_from(const char *path, const char *name, char *text, size_t room);

#endif
