/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx_catches.cc - a program that uses nothing of the C++ runtime but std::bad_alloc: linked
 * statically it has no more of it.
 */
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>

static volatile std::size_t too_much = SIZE_MAX / 2;

int main()
{
    try {
        ::operator delete(::operator new(too_much));
    } catch (const std::bad_alloc &) {
        std::puts("caught");
        return 0;
    }
    return 1;
}
