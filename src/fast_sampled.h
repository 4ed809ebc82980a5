/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast_sampled.h - malloc's fast paths while anything is sampled, one for each of
 * fast.h's, which chooses them.  free's do not change.
 */
#ifndef NH_FAST_SAMPLED_H
#define NH_FAST_SAMPLED_H

#include <stddef.h>

void *sampled_thread_malloc(size_t size);
void *sampled_thread_malloc_class(size_t alignment, size_t size, unsigned cls);
void *sampled_cpu_malloc(size_t size);
void *sampled_cpu_malloc_class(size_t alignment, size_t size, unsigned cls);
void *sampled_either_malloc(size_t size);
void *sampled_either_malloc_class(size_t alignment, size_t size, unsigned cls);

#endif
