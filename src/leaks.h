/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * leaks.h - what the program still holds when it ends.
 *
 * No lock may be held.
 */
#ifndef NH_LEAKS_H
#define NH_LEAKS_H

/* Prints it if the option asks for it. */
void leaks_at_exit(void);

#endif
