/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx.cc - tests of the rules of C++17 and C++20, [new.delete] and what rests on it, one
 * each.  A name begins with the section's label.  The same program is linked with
 * nearheap, runs with it preloaded, and on glibc and libstdc++ alone.
 */
#include "resident.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

static const char *rule_now;

static void check(bool ok, int line, const char *what)
{
    if (!ok) {
        std::fprintf(stderr, "cxx.cc:%d: %s: not (%s)\n", line, rule_now, what);
        std::exit(1);
    }
}
#define CHECK(x) check((x), __LINE__, #x)

static const std::size_t too_much = static_cast<std::size_t>(PTRDIFF_MAX) - 8192;
static const std::align_val_t wide{256};

static bool is_aligned(const void *p, std::size_t alignment)
{
    return p != nullptr && reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

/* The sizes of small, medium and large objects. */
static const std::size_t sizes[] = {1, 15, 16, 100, 1024, 5000, 65536, 70000, 3000000};

template <class F> static bool throws_bad_alloc(F f)
{
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

/* Does what is given, written to and freed become available again? */
template <class Give, class Free> static bool frees(Give give, Free free_it)
{
    for (std::size_t size : resident_sizes) {
        std::size_t before = resident_bytes();
        for (std::size_t written = 0; written < RESIDENT_MUCH; written += size)
            free_it(std::memset(give(size), 1, size), size);
        if (resident_bytes() > before + RESIDENT_KEPT)
            return false;
    }
    return true;
}

/* Each throwing form, asked for more than there is. */
static void *ask_too_much(int form)
{
    switch (form) {
    case 0:
        return ::operator new(too_much);
    case 1:
        return ::operator new[](too_much);
    case 2:
        return ::operator new(too_much, wide);
    default:
        return ::operator new[](too_much, wide);
    }
}

static void *ask_too_much_nothrow(int form)
{
    switch (form) {
    case 0:
        return ::operator new(too_much, std::nothrow);
    case 1:
        return ::operator new[](too_much, std::nothrow);
    case 2:
        return ::operator new(too_much, wide, std::nothrow);
    default:
        return ::operator new[](too_much, wide, std::nothrow);
    }
}

static const int forms = 4;

/* ---- New-handlers ---- */

static int handler_calls;

static void give_up_at_the_third()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct own_failure : std::bad_alloc {
};

static void throw_own()
{
    handler_calls++;
    throw own_failure();
}

static void throw_number()
{
    handler_calls++;
    throw 42;
}

/* ---- [new.delete.single], [new.delete.array] ---- */

/* new gives memory that is aligned for any object of the size. */
static void new_delete_single_new_aligns_by_default()
{
    for (std::size_t size : sizes) {
        void *p = ::operator new(size), *q = ::operator new[](size);
        CHECK(is_aligned(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__));
        CHECK(is_aligned(q, __STDCPP_DEFAULT_NEW_ALIGNMENT__));
        std::memset(p, 1, size);
        std::memset(q, 2, size);
        CHECK(static_cast<char *>(p)[size - 1] == 1);
        ::operator delete(p);
        ::operator delete[](q);
    }
}

/* The forms with align_val_t give that alignment. */
static void new_delete_single_new_aligns_as_asked()
{
    for (std::size_t a = 1; a <= 1 << 20; a *= 2)
        for (std::size_t size : sizes) {
            auto al = static_cast<std::align_val_t>(a);
            void *p[] = {::operator new(size, al), ::operator new[](size, al),
                         ::operator new(size, al, std::nothrow),
                         ::operator new[](size, al, std::nothrow)};
            for (int i = 0; i < forms; i++) {
                CHECK(is_aligned(p[i], a));
                std::memset(p[i], i, size);
            }
            for (int i = 0; i < forms; i++)
                CHECK(static_cast<char *>(p[i])[size - 1] == i);
            ::operator delete(p[0], al);
            ::operator delete[](p[1], al);
            ::operator delete(p[2], al, std::nothrow);
            ::operator delete[](p[3], al, std::nothrow);
        }
}

/* new of no bytes is an object of its own ([basic.stc.dynamic.allocation]). */
static void basic_stc_dynamic_allocation_zero_is_unique()
{
    void *p = ::operator new(0), *q = ::operator new(0), *r = ::operator new[](0);
    CHECK(p != nullptr && q != nullptr && r != nullptr && p != q && q != r && p != r);
    ::operator delete(p);
    ::operator delete(q);
    ::operator delete[](r);
}

/* Without memory and without a handler new throws bad_alloc. */
static void new_delete_single_new_throws_bad_alloc()
{
    for (int form = 0; form < forms; form++)
        CHECK(throws_bad_alloc([form] { ::operator delete(ask_too_much(form)); }));
}

/* As long as there is a handler, new calls it and tries again. */
static void new_delete_single_new_calls_the_handler_until_there_is_none()
{
    for (int form = 0; form < forms; form++) {
        handler_calls = 0;
        std::set_new_handler(give_up_at_the_third);
        CHECK(throws_bad_alloc([form] { ::operator delete(ask_too_much(form)); }));
        CHECK(handler_calls == 3);
    }
}

/* What a handler throws comes out of new. */
static void new_delete_single_new_lets_the_handler_throw()
{
    for (int form = 0; form < forms; form++) {
        bool caught = false;
        std::set_new_handler(throw_number);
        try {
            ::operator delete(ask_too_much(form));
        } catch (int n) {
            caught = n == 42;
        }
        CHECK(caught);
    }
    std::set_new_handler(nullptr);
}

/* nothrow forms return null instead. */
static void new_delete_single_nothrow_returns_null()
{
    for (int form = 0; form < forms; form++)
        CHECK(ask_too_much_nothrow(form) == nullptr);
    void *p = ::operator new(100, std::nothrow), *q = ::operator new[](100, std::nothrow);
    CHECK(p != nullptr && q != nullptr);
    ::operator delete(p, std::nothrow);
    ::operator delete[](q, std::nothrow);
}

/* They call handlers, too. */
static void new_delete_single_nothrow_calls_the_handler()
{
    for (int form = 0; form < forms; form++) {
        handler_calls = 0;
        std::set_new_handler(give_up_at_the_third);
        CHECK(ask_too_much_nothrow(form) == nullptr);
        CHECK(handler_calls == 3);
    }
}

/* Null also when the handler throws a bad_alloc, or what else. */
static void new_delete_single_nothrow_catches_what_the_handler_throws()
{
    for (int form = 0; form < forms; form++) {
        handler_calls = 0;
        std::set_new_handler(throw_own);
        CHECK(ask_too_much_nothrow(form) == nullptr);
        std::set_new_handler(throw_number);
        CHECK(ask_too_much_nothrow(form) == nullptr);
        CHECK(handler_calls == 2);
    }
    std::set_new_handler(nullptr);
}

/* delete of null does nothing, in each form. */
static void new_delete_single_delete_of_null_does_nothing()
{
    void *volatile null = nullptr; /* of which the compiler does not know that it was freed */
    ::operator delete(null);
    ::operator delete[](null);
    ::operator delete (null, std::size_t{10});
    ::operator delete[](null, std::size_t{10});
    ::operator delete(null, std::nothrow);
    ::operator delete[](null, std::nothrow);
    ::operator delete(null, wide);
    ::operator delete[](null, wide);
    ::operator delete (null, std::size_t{10}, wide);
    ::operator delete[](null, std::size_t{10}, wide);
    ::operator delete(null, wide, std::nothrow);
    ::operator delete[](null, wide, std::nothrow);
}

static void *give(std::size_t size)
{
    return ::operator new(size);
}

static void *give_array(std::size_t size)
{
    return ::operator new[](size);
}

static void *give_wide(std::size_t size)
{
    return ::operator new(size, wide);
}

static void *give_wide_array(std::size_t size)
{
    return ::operator new[](size, wide);
}

/* delete gives the memory back. */
static void new_delete_single_delete_frees()
{
    CHECK(frees(give, [](void *p, std::size_t) { ::operator delete(p); }));
    CHECK(frees(give_array, [](void *p, std::size_t) { ::operator delete[](p); }));
    CHECK(frees(give_wide, [](void *p, std::size_t) { ::operator delete(p, wide); }));
    CHECK(frees(give_wide_array, [](void *p, std::size_t) { ::operator delete[](p, wide); }));
}

/* Forms with the size take what new of that size gave. */
static void new_delete_single_sized_delete_frees()
{
    for (std::size_t size : sizes) {
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size), size);
        ::operator delete(::operator new(size, wide), size, wide);
        ::operator delete[](::operator new[](size, wide), size, wide);
    }
    CHECK(frees(give, [](void *p, std::size_t size) { ::operator delete(p, size); }));
    CHECK(frees(give_array, [](void *p, std::size_t size) { ::operator delete[](p, size); }));
    CHECK(frees(give_wide, [](void *p, std::size_t size) { ::operator delete(p, size, wide); }));
    CHECK(frees(give_wide_array,
                [](void *p, std::size_t size) { ::operator delete[](p, size, wide); }));
    CHECK(frees([](std::size_t size) { return ::operator new(size, std::nothrow); },
                [](void *p, std::size_t size) { ::operator delete(p, size); }));
}

/* So do the forms that nothrow new calls when a constructor throws. */
static void new_delete_single_nothrow_delete_frees()
{
    CHECK(frees(give, [](void *p, std::size_t) { ::operator delete(p, std::nothrow); }));
    CHECK(frees(give_array, [](void *p, std::size_t) { ::operator delete[](p, std::nothrow); }));
    CHECK(frees(give_wide, [](void *p, std::size_t) { ::operator delete(p, wide, std::nothrow); }));
    CHECK(frees(give_wide_array,
                [](void *p, std::size_t) { ::operator delete[](p, wide, std::nothrow); }));
}

/* ---- [expr.new], [expr.delete] ---- */

struct alignas(256) Wide {
    char bytes[512];
};

struct Counted {
    static std::size_t alive;
    char bytes[24];
    Counted()
    {
        std::memset(bytes, 1, sizeof(bytes));
        alive++;
    }
    Counted(const Counted &) = delete;
    Counted &operator=(const Counted &) = delete;
    virtual ~Counted()
    {
        alive--;
    }
};
std::size_t Counted::alive;

struct Larger : Counted {
    char more[1000];
    Larger()
    {
        std::memset(more, 1, sizeof(more));
    }
};

/* Types that are aligned more widely get the forms with an alignment. */
static void expr_new_of_an_overaligned_type_is_aligned()
{
    for (int i = 0; i < 100; i++) {
        auto one = std::make_unique<Wide>();
        auto many = std::make_unique<Wide[]>(10);
        CHECK(is_aligned(one.get(), 256) && is_aligned(many.get(), 256));
    }
}

/* Arrays with a cookie, and deletes by a base class, whose size is the object's. */
static void expr_delete_frees_arrays_and_derived_objects()
{
    static const std::size_t count = 40; /* about as much as the derived object */
    std::size_t before = resident_bytes();
    for (std::size_t written = 0; written < 2 * RESIDENT_MUCH; written += 2 * sizeof(Larger)) {
        Counted *array = new Counted[count];
        Counted *derived = new Larger;
        CHECK(Counted::alive == count + 1);
        delete[] array;
        delete derived;
        CHECK(Counted::alive == 0);
    }
    CHECK(resident_bytes() <= before + RESIDENT_KEPT);
}

/* Where the last object was: that somebody else knows it keeps new and delete from being
 * left out. */
static void *volatile last;

template <std::size_t alignment> struct alignas(alignment) Thrower {
    char bytes[3072];
    Thrower()
    {
        last = std::memset(bytes, 1, sizeof(bytes));
        throw 1;
    }
};

template <class T, class Make> static bool frees_thrower(Make make)
{
    std::size_t before = resident_bytes();
    for (std::size_t written = 0; written < RESIDENT_MUCH; written += sizeof(T)) {
        bool caught = false;
        try {
            make();
        } catch (int) {
            caught = true;
        }
        if (!caught)
            return false;
    }
    return resident_bytes() <= before + RESIDENT_KEPT;
}

template <class T> static void check_thrower()
{
    CHECK(frees_thrower<T>([] { delete new T; }));
    CHECK(frees_thrower<T>([] { delete[] new T[2]; }));
    CHECK(frees_thrower<T>([] { delete new (std::nothrow) T; }));
    CHECK(frees_thrower<T>([] { delete[] new (std::nothrow) T[2]; }));
}

/* A constructor that throws has its memory freed, by the form that belongs to the new. */
static void expr_new_frees_where_the_constructor_throws()
{
    check_thrower<Thrower<16>>();
    check_thrower<Thrower<256>>();
}

/* An array whose size cannot be is refused. */
static void expr_new_refuses_arrays_that_are_too_large()
{
    std::size_t volatile count = SIZE_MAX / 2;
    bool refused = false;
    try {
        auto *array = new char[count][512];
        last = array;
        delete[] array;
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    CHECK(refused);
}

/* ---- [allocator.members], [util.smartptr], threads ---- */

/* Containers of several threads, on top of all that. */
static void allocator_members_serve_containers()
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

/* ---- all ---- */

static const struct {
    const char *name;
    void (*test)();
} rules[] = {
#define RULE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
    RULE(new_delete_single_new_aligns_by_default),
    RULE(new_delete_single_new_aligns_as_asked),
    RULE(basic_stc_dynamic_allocation_zero_is_unique),
    RULE(new_delete_single_new_throws_bad_alloc),
    RULE(new_delete_single_new_calls_the_handler_until_there_is_none),
    RULE(new_delete_single_new_lets_the_handler_throw),
    RULE(new_delete_single_nothrow_returns_null),
    RULE(new_delete_single_nothrow_calls_the_handler),
    RULE(new_delete_single_nothrow_catches_what_the_handler_throws),
    RULE(new_delete_single_delete_of_null_does_nothing),
    RULE(new_delete_single_delete_frees),
    RULE(new_delete_single_sized_delete_frees),
    RULE(new_delete_single_nothrow_delete_frees),
    RULE(expr_new_of_an_overaligned_type_is_aligned),
    RULE(expr_delete_frees_arrays_and_derived_objects),
    RULE(expr_new_frees_where_the_constructor_throws),
    RULE(expr_new_refuses_arrays_that_are_too_large),
    RULE(allocator_members_serve_containers),
#undef RULE
};

int main()
{
    for (const auto &rule : rules) {
        rule_now = rule.name;
        rule.test();
        std::printf("ok %s\n", rule.name);
    }
    return 0;
}
