/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx_replaced.cc - a program that replaces operator new and delete by its own, and only
 * the basic forms: all others then are theirs by default ([new.delete.single],
 * [new.delete.array]: each default calls another form, in the end one of these four).
 *
 * Its objects begin with a header, so that whoever frees one otherwise is found out.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

static void check(bool ok, int line, const char *what)
{
    if (!ok) {
        std::fprintf(stderr, "cxx_replaced.cc:%d: not (%s)\n", line, what);
        std::exit(1);
    }
}
#define CHECK(x) check((x), __LINE__, #x)

static const std::uint64_t magic = 0x6f776e206f626a65;
static int held, calls;

struct alignas(256) header {
    std::uint64_t magic;
    void *begin;
};

static void *give(std::size_t size)
{
    calls++;
    if (size > 1 << 20)
        throw std::bad_alloc();
    void *begin = std::aligned_alloc(256, sizeof(header) + (size + 255) / 256 * 256);
    CHECK(begin != nullptr);
    auto *h = static_cast<header *>(begin);
    *h = header{magic, begin};
    held++;
    return h + 1;
}

static void take(void *p)
{
    calls++;
    if (p == nullptr)
        return;
    auto *h = static_cast<header *>(p) - 1;
    CHECK(h->magic == magic);
    h->magic = 0;
    held--;
    std::free(h->begin);
}

void *operator new(std::size_t size)
{
    return give(size);
}

void operator delete(void *p) noexcept
{
    take(p);
}

void *operator new(std::size_t size, std::align_val_t)
{
    return give(size);
}

void operator delete(void *p, std::align_val_t) noexcept
{
    take(p);
}

/* Each form, once: it must have come to one of the four above. */
#define GIVES(expression)                                                                          \
    do {                                                                                           \
        int before = calls;                                                                        \
        p = (expression);                                                                          \
        CHECK(calls == before + 1 && held == 1);                                                   \
    } while (0)
#define TAKES(expression)                                                                          \
    do {                                                                                           \
        int before = calls;                                                                        \
        expression;                                                                                \
        CHECK(calls == before + 1 && held == 0);                                                   \
    } while (0)

int main()
{
    static const std::align_val_t wide{256};
    const std::size_t size = 100, too_much = std::size_t{1} << 30;
    void *p;
    GIVES(::operator new(size));
    TAKES(::operator delete(p));
    GIVES(::operator new[](size));
    TAKES(::operator delete[](p));
    GIVES(::operator new(size, std::nothrow));
    TAKES(::operator delete(p, std::nothrow));
    GIVES(::operator new[](size, std::nothrow));
    TAKES(::operator delete[](p, std::nothrow));
    GIVES(::operator new(size));
    TAKES(::operator delete(p, size));
    GIVES(::operator new[](size));
    TAKES(::operator delete[](p, size));
    GIVES(::operator new[](size, wide));
    TAKES(::operator delete[](p, wide));
    GIVES(::operator new(size, wide, std::nothrow));
    TAKES(::operator delete(p, wide, std::nothrow));
    GIVES(::operator new[](size, wide, std::nothrow));
    TAKES(::operator delete[](p, wide, std::nothrow));
    GIVES(::operator new(size, wide));
    TAKES(::operator delete(p, size, wide));
    GIVES(::operator new[](size, wide));
    TAKES(::operator delete[](p, size, wide));
    CHECK(::operator new(too_much, std::nothrow) == nullptr);
    CHECK(::operator new[](too_much, wide, std::nothrow) == nullptr);
    CHECK(held == 0);
    std::puts("passed");
    return 0;
}
