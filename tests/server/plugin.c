/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * plugin.c - the library that plugins.c loads and unloads: it allocates in its
 * constructor, and has thread-local storage that the loader allocates.
 */
#include "check.h"

static void *kept;
static _Thread_local char big[100000];

__attribute__((constructor)) static void begin(void)
{
    kept = filled(5000);
}

__attribute__((destructor)) static void end(void)
{
    verify_free(kept, 5000);
}

/* An object for the program, which frees it when this library is gone. */
void *plugin_work(size_t size);
__attribute__((visibility("default"))) void *plugin_work(size_t size)
{
    for (size_t i = 0; i < sizeof(big); i += 1000)
        big[i]++;
    return filled(size);
}
