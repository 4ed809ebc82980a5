// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A test prints what its allocator tells of itself.
#pragma once
#include <stddef.h>

class MallocExtension
{
  public:
    static MallocExtension *instance()
    {
        static MallocExtension only;
        return &only;
    }
    void GetStats(char *text, int size)
    {
        if (size > 0)
            text[0] = '\0';
    }
};
