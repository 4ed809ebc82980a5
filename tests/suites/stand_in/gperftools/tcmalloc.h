// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The tests include it to have the C library's names.
#pragma once
#include <malloc.h>
#include <stdlib.h>
