/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx_plugin.cc - a C++ library that cxx_host.c, which has no C++ runtime, loads for itself
 * alone: the runtime comes with it.
 */
#include <cstddef>
#include <cstdint>
#include <new>

static volatile std::size_t too_much = SIZE_MAX / 2;
static int handled;

static void handler()
{
    if (++handled == 2)
        std::set_new_handler(nullptr);
}

static bool throws()
{
    try {
        ::operator delete(::operator new(too_much));
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

/* 0 when all is right. */
extern "C" int cxx_plugin()
{
    if (!throws())
        return 1;
    std::set_new_handler(handler);
    if (!throws() || handled != 2)
        return 2;
    return ::operator new(too_much, std::nothrow) == nullptr ? 0 : 3;
}
