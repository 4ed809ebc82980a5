/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a pointer into a small object: found when it comes home, at the latest at exit.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    free(p + 16);
    return 0;
}
