/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run_values.h - whether the library would take a value: its form, which the table of options
 * tells, and what the engine's parts ask of a text or a number beyond that, as far as it is
 * the same on every machine.
 */
#ifndef NH_TOOLS_RUN_VALUES_H
#define NH_TOOLS_RUN_VALUES_H

#include "log.h"
#include "options.h"

/* False, and why is added to *problem. */
bool run_value_is_sound(enum option_id id, const char *value, struct text *problem);

#endif
