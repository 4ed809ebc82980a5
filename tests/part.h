/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * part.h - so much of a test's work as the environment asks for: TEST_PART=4 is a fourth, and
 * 1 the least, for machines on which all is slow and that repeat what another one does in
 * full (numa/suite_guest.sh).
 */
#ifndef NH_TEST_PART_H
#define NH_TEST_PART_H

#include <stdlib.h>

static int part_of(int count)
{
    const char *part = getenv("TEST_PART");
    if (part == NULL)
        return count;
    if (*part < '1' || *part > '9' || part[1] != '\0')
        abort();
    count /= *part - '0';
    return count > 1 ? count : 1;
}

#endif
