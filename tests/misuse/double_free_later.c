/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an object twice with others between: found when it comes home, at the latest at exit.
 */
#include <stdlib.h>

int main(void)
{
    void *a = malloc(64), *b = malloc(64);
    free(a);
    free(b);
    free(a);
    return 0;
}
