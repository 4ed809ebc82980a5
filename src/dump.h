/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * dump.h - the whole heap as text, for tools (tools/nearheap-map, which says how it is
 * read): options, counters of each node, size classes, every span, and which pages are in
 * memory.
 *
 * Others go on meanwhile, and nothing is moved for it: what caches hold stays there.  Each
 * span is as it was at one moment, not all at the same.  Takes the locks of heaps in turn,
 * so none may be held; never calls malloc.
 */
#ifndef NH_DUMP_H
#define NH_DUMP_H

/* The form's version: another one when a reader of this would read the new one wrongly. */
#define DUMP_VERSION 1

/* Writes it to a file descriptor.  0, or an error's number: ENOMEM without memory for the
 * list of spans, EBADF when the descriptor was closed or became another file's meanwhile, or
 * what the file refuses. */
int dump_write(int fd);

#endif
