/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * pprof.h - bytes of a file in pprof's form: protocol buffers within gzip, neither with
 * a library.
 *
 * The form is profile.proto of github.com/google/pprof; protocol buffers are encoded by
 * hand, which takes three functions, and gzip (RFC 1952) holds deflate's stored blocks
 * (RFC 1951), which are not compressed: a profile is a few hundred kilobytes, and a
 * compressor would allocate and be one more library in every process.
 *
 * Pure but for the file; no lock, no malloc, may be used in a signal handler.  A struct
 * has one user at a time.
 */
#ifndef NH_PPROF_H
#define NH_PPROF_H

#include "base.h"

/* A message within the file, or within another message: the bytes of its fields.  What
 * does not fit is cut; the largest is a sample with its stack and labels. */
struct pprof_message {
    size_t used;
    unsigned char byte[1536];
};

#define PPROF_BLOCK 16384

struct pprof_file {
    int fd;
    int error; /* of the first write that failed */
    uint32_t crc, length;
    size_t used;
    unsigned char block[PPROF_BLOCK];
};

/* Fields of a message, by their numbers. */
void pprof_add_number(struct pprof_message *to, unsigned field, uint64_t value);
void pprof_add_message(struct pprof_message *to, unsigned field, const struct pprof_message *what);
/* A number of a packed list, whose message is added whole. */
void pprof_add_packed(struct pprof_message *to, uint64_t value);

void pprof_begin(struct pprof_file *file, int fd);
/* Fields of the profile itself. */
void pprof_put_number(struct pprof_file *file, unsigned field, uint64_t value);
void pprof_put_string(struct pprof_file *file, unsigned field, const char *text);
void pprof_put_message(struct pprof_file *file, unsigned field, const struct pprof_message *what);
/* 0, or an error's number when not all was written. */
int pprof_end(struct pprof_file *file);

#endif
