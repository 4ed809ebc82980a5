/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share_file.h - where processes share their pages of counters (share_page.h), and which of
 * the files there are theirs.
 *
 * The pages of a user's processes lie in one folder, nearheap-UID, in the first of the
 * places below that has room for it.  It belongs to the user and is nobody else's to enter
 * (0700); a page is a file in it, named by its process's number (0600).  The places are
 * fixed, so that whoever looks for a page need not know the environment of its process.
 *
 * For the library and its tools; never allocates.
 */
#ifndef NH_SHARE_FILE_H
#define NH_SHARE_FILE_H

#include "base.h"
#include "share_page.h"

#include <sys/types.h>

#define SHARE_PLACES        2
#define SHARE_FOLDER_PREFIX "nearheap-"
/* A page's name while it is not complete is its process's number behind a dot. */
#define SHARE_UNFINISHED '.'
#define SHARE_NAME_ROOM  24
#define SHARE_PATH_ROOM  64

extern const char *const share_places[SHARE_PLACES] __attribute__((visibility("hidden")));

/* The path of a user's folder. */
void share_file_folder_path(const char *place, uid_t uid, char path[SHARE_PATH_ROOM]);
/* Opens that folder; negative if it is not there or is not only the user's (errno says EPERM
 * then).  With `make` it is made, for the process's own files, which has to be the user's by
 * real, effective and saved number. */
int share_file_folder(const char *place, uid_t uid, bool make);

/* The number that a page's name is, or that of an unfinished one; 0 for other names. */
long share_file_pid(const char *name, bool *unfinished);

/* Calls fn with the names of files in the folder, from `at` on, which is 0 or what it returned, and
 * with `most` at a time.  Returns where to go on: 0 at the end. */
off_t share_file_each(int folder, off_t at, size_t most,
                      void (*fn)(int folder, const char *name, void *arg), void *arg);

/* Opens a page to be read; negative (errno) if there is none or it is no regular file. */
int share_file_open(int folder, const char *name);
/* Reads whose page it is, of any version: magic, pid, pid_namespace and started of *out; false if
 * it is no page. */
bool share_file_owner(int fd, struct share_header *out);
/* Reads and checks what is constant in a page, whose maker may mean ill: false if it is no
 * page, or one of another version. */
bool share_file_header(int fd, struct share_header *out);

/* The inode of the namespace in which the calling process has its number; 0: unknown. */
uint64_t share_file_namespace(void);
/* Whether no process has the number, here. */
bool share_file_is_gone(long pid);
/* Whether the page's process, of this namespace, has ended, whether its parent knows or not. */
bool share_file_is_stale(const struct share_header *header);

#endif
