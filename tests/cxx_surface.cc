/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx_surface.cc - every operator new and delete, the new-handler, bad_alloc,
 * and the containers on top of them.
 */
#include "nearheap.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

static void check(bool ok, int line)
{
    if (!ok) {
        std::fprintf(stderr, "cxx_surface.cc:%d: failed\n", line);
        std::exit(1);
    }
}
#define CHECK(x) check((x), __LINE__)

struct alignas(256) Wide {
    char bytes[512];
};

static const std::size_t too_much = static_cast<std::size_t>(PTRDIFF_MAX) - 8192;
static int handler_calls;

static void give_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

static void throw_own()
{
    throw 42;
}

template <class F> static bool throws_bad_alloc(F f)
{
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void forms()
{
    void *p = ::operator new(100);
    CHECK(nh_node_of(p) != -1);
    ::operator delete(p);
    p = ::operator new(100);
    ::operator delete (p, std::size_t{100});
    p = ::operator new[](100);
    ::operator delete[](p);
    p = ::operator new[](100);
    ::operator delete[](p, std::size_t{100});
    p = ::operator new(100, std::nothrow);
    CHECK(p != nullptr);
    ::operator delete(p, std::nothrow);
    p = ::operator new[](100, std::nothrow);
    ::operator delete[](p, std::nothrow);
    for (std::size_t a = 16; a <= 65536; a *= 2) {
        auto al = static_cast<std::align_val_t>(a);
        p = ::operator new(100, al);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % a == 0);
        ::operator delete(p, al);
        p = ::operator new[](100, al);
        ::operator delete[](p, std::size_t{100}, al);
        p = ::operator new(100, al, std::nothrow);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % a == 0);
        ::operator delete(p, al, std::nothrow);
        p = ::operator new[](100, al, std::nothrow);
        ::operator delete[](p, al, std::nothrow);
    }
    p = ::operator new(0);
    CHECK(p != nullptr);
    ::operator delete(p);
    ::operator delete(nullptr);
    auto w = std::make_unique<Wide[]>(10);
    CHECK(reinterpret_cast<std::uintptr_t>(w.get()) % 256 == 0);
}

static void failure()
{
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(too_much)); }));
    CHECK(throws_bad_alloc([] { ::operator delete[](::operator new[](too_much)); }));
    CHECK(throws_bad_alloc(
        [] { ::operator delete(::operator new(too_much, static_cast<std::align_val_t>(64))); }));
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, static_cast<std::align_val_t>(64), std::nothrow) == nullptr);

    std::set_new_handler(give_up);
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(too_much)); }));
    CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(give_up);
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(handler_calls == 3);

    std::set_new_handler(throw_own);
    bool caught = false;
    try {
        ::operator delete(::operator new(too_much));
    } catch (int n) {
        caught = n == 42;
    }
    CHECK(caught);
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, std::nothrow) == nullptr);
    CHECK(::operator new(too_much, static_cast<std::align_val_t>(64), std::nothrow) == nullptr);
    std::set_new_handler(nullptr);
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
}

static void containers()
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t] {
            std::map<std::string, std::vector<int>> map;
            for (int i = 0; i < 5000; i++) {
                auto &v = map["key " + std::to_string(i % 500) +
                              std::string(static_cast<std::size_t>(i % 90), 'x')];
                v.push_back(i * t);
                if (i % 7 == 0)
                    map.erase(map.begin());
            }
            for (auto &[key, values] : map)
                for (int n : values)
                    CHECK(t == 0 ? n == 0 : n % t == 0);
        });
    for (auto &t : threads)
        t.join();
}

int main()
{
    forms();
    failure();
    containers();
    std::puts("passed");
    return 0;
}
