/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * log.h - one-line messages on standard error, without allocating.  Where that descriptor has
 * become another file, which the program reads, too, there are none.
 *
 * Safe under any lock, before constructors and after exit handlers; one
 * write(2) a line, so that lines of several threads do not mix.
 */
#ifndef NH_LOG_H
#define NH_LOG_H

#include "base.h"

#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_TRACE };

/* At boot: remembers what standard error is. */
void log_boot(void);
/* Its descriptor, or -1 where that is closed, or a file that was not meant for messages. */
int log_stderr(void);

/* Prints "nearheap: …\n" when `level` is at most the option `verbose`; LOG_TRACE with the time. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Growing text in a buffer of the caller's; what does not fit is cut. */
struct text {
    char *at;
    size_t room;
    size_t used;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether all room is taken: something may have been cut, and a path be another one's. */
NH_INLINE bool text_is_full(const struct text *text)
{
    return text->used + 1 >= text->room;
}

/* A path in which %p becomes the process id, so that children do not overwrite their
 * parents' files. */
void text_add_path(struct text *text, const char *pattern);

/* All of `length` to `fd`, through interruptions; 0, or an error's number.  No signal is raised
 * by a pipe that nobody reads, or a limit on files. */
int log_write_all(int fd, const char *at, size_t length);

/* What an error's number means, in words where it is a common one: those of libc may depend on
 * the locale, and allocate. */
#define LOG_ERROR_ROOM 48
const char *log_error(int error, char room[LOG_ERROR_ROOM]);

#endif
