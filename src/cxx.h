/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx.h - for fast.c: what operator new does where malloc returned NULL.
 */
#ifndef NH_CXX_H
#define NH_CXX_H

#include "base.h"

/* Calls the new-handler and tries again until there is an object, or throws.  Weak: it is not
 * there where operator new is not ours, and is not called. */
NH_SLOW void *cxx_new_failed(size_t size) __attribute__((weak, visibility("hidden")));

#endif
