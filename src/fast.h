/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast.h - the fast paths, of which there are three: with caches of threads, with
 * caches of CPUs, and with either, where some threads were told their node.
 * Which of them, is decided when the process boots, or when the first thread is told;
 * all three work at any time, for what a thread or a CPU does not have looks empty
 * and full.
 */
#ifndef NH_FAST_H
#define NH_FAST_H

#include "base.h"

#include <stdatomic.h>

enum fast_kind { FAST_THREAD, FAST_CPU, FAST_EITHER };

/* Relaxed: any of them will do. */
struct fast {
    void *(*_Atomic malloc)(size_t size);
    void (*_Atomic free)(void *ptr);
    /* An object of a class; NULL without memory, and errno is the caller's. */
    void *(*_Atomic malloc_class)(unsigned cls);
};
extern struct fast fast_now __attribute__((visibility("hidden")));

/* Makes it so. */
void fast_use(enum fast_kind kind);

NH_INLINE void *fast_malloc_class(unsigned cls)
{
    return atomic_load_explicit(&fast_now.malloc_class, memory_order_relaxed)(cls);
}

#endif
