// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What gnulib's configure would find of a C library that needs none of its replacements.
#pragma once
#define _GNU_SOURCE         1
#define HAVE_ALIGNED_ALLOC  1
#define HAVE_MEMALIGN       1
#define HAVE_POSIX_MEMALIGN 1
#define _GL_UNUSED          __attribute__((unused))
