/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * More than any limit leaves: NULL and ENOMEM, and a line for who wants to know why.
 */
#include <errno.h>
#include <stdlib.h>

#define MORE_THAN_ADDRESSES ((size_t)1 << 50)
#define MORE_THAN_MEMORY    ((size_t)1 << 40)

static int is_refused(size_t bytes)
{
    errno = 0;
    void *volatile object = malloc(bytes);
    return object == NULL && errno == ENOMEM;
}

int main(void)
{
    return is_refused(MORE_THAN_ADDRESSES) && is_refused(MORE_THAN_MEMORY) ? 0 : 1;
}
