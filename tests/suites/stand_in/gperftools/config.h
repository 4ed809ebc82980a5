// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What gperftools' configure would find, as far as the tests that use standard names ask.
#pragma once
#define HAVE_INTTYPES_H     1
#define HAVE_MALLOC_H       1
#define HAVE_STDINT_H       1
#define HAVE_SYS_RESOURCE_H 1
#define HAVE_UNISTD_H       1
#define HAVE_PTHREAD        1
#define PERFTOOLS_DLL_DECL
