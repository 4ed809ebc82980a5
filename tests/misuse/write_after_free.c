/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes to an object that it has freed: found when the object leaves quarantine, at the
 * latest at exit.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    free(p);
    p[16] = 'A';
    return 0;
}
