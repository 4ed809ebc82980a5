/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_map.c - see guard_map.h.
 */
#include "guard_map.h"

#include "limits.h"
#include "os.h"

/* Guards of memory that is less than so many of them would cost too much of it. */
#define GUARDS_WORTH 4

_Atomic bool harden_active;

void *guard_map(size_t bytes)
{
    if (!harden_on())
        return os_map(bytes, NH_SYSTEM_PAGE, 0);
    size_t guard = os_page();
    size_t inside = round_up(bytes, guard);
    char *at = os_map(inside + 2 * guard, NH_SYSTEM_PAGE, 0);
    if (at == NULL)
        return NULL;
    (void)os_protect(at, guard, OS_ACCESS_NONE);
    (void)os_protect(at + guard + inside, guard, OS_ACCESS_NONE);
    return at + guard;
}

void guard_discard(void *at, size_t bytes)
{
    size_t guard = harden_on() ? os_page() : 0;
    size_t inside = guard != 0 ? round_up(bytes, guard) : bytes;
    if (guard != 0 && os_unmap((char *)at - guard, inside + 2 * guard))
        return;
    os_discard(at, inside); /* what cannot be taken back now is written to */
}

size_t guard_room(size_t bytes)
{
    return harden_on() ? bytes + 2 * os_page() : bytes;
}

void *guard_enclose(void *at, size_t *bytes)
{
    size_t guard = os_page();
    if (!harden_on() || *bytes < GUARDS_WORTH * guard || !os_protect(at, guard, OS_ACCESS_NONE))
        return at;
    (void)os_protect((char *)at + *bytes - guard, guard, OS_ACCESS_NONE);
    *bytes -= 2 * guard;
    return (char *)at + guard;
}
