/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * More than any limit leaves: NULL and ENOMEM, and a line for who wants to know why. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    (void)argv;
    size_t bytes = (size_t)argc << 50;
    for (int i = 0; i < 2; i++, bytes >>= 10) {
        errno = 0;
        void *object = malloc(bytes);
        if (object != NULL || errno != ENOMEM)
            return 1;
    }
    return 0;
}
