/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an address that no program can have.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    free((void *)(uintptr_t)0xdeadbeefdeadbeef);
    puts("not found");
    return 0;
}
