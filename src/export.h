/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * export.h - how a function of ours also gets its libc name.
 *
 * NH_LIBC_NAME(name, ours) after the definition of `ours`: with NH_REPLACE a
 * second symbol for it; without, nothing, and the program's own family stays
 * as it is.
 */
#ifndef NH_EXPORT_H
#define NH_EXPORT_H

#include "nearheap.h"

/* GCC wants an alias to have its target's attributes; Clang does not know how
 * to copy them. */
#if __has_attribute(copy)
#define NH_COPY_ATTRIBUTES(ours) __attribute__((copy(ours)))
#else
#define NH_COPY_ATTRIBUTES(ours)
#endif

#ifdef NH_REPLACE
#define NH_LIBC_NAME(name, ours)                                                                   \
    extern __typeof__(ours) name __attribute__((alias(#ours), visibility("default")))              \
    NH_COPY_ATTRIBUTES(ours)
#else
#define NH_LIBC_NAME(name, ours) extern __typeof__(ours) ours
#endif

#endif
