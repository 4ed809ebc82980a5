/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_os.c - what os.c does when the system refuses: nothing is lost for good, errno is kept;
 * protection.
 */
#include "unit.h"

#include "limits.h"
#include "os.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int refusals;   /* of munmap, to come */
static bool no_moving; /* mremap, mmap and madvise are refused */
static bool no_rights; /* mprotect is refused */

#define MOVES 64
static size_t moved[MOVES]; /* bytes, by the last calls of mremap that move */
static unsigned moves;
static unsigned moves_until = UINT_MAX; /* what comes then fails */

void *__wrap_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to);
void *__real_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to);
void *__wrap_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to)
{
    if (no_moving || (flags != 0 && moves == moves_until)) {
        if (!no_moving) /* the kernel may have looked too late */
            assert_int_equal(munmap(to, to_bytes), 0);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (flags != 0)
        moved[moves++ % MOVES] = bytes;
    return __real_mremap(at, bytes, to_bytes, flags, to);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    errno = ENOMEM;
    return no_moving ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);
}

int __wrap_madvise(void *at, size_t bytes, int advice);
int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice)
{
    errno = EPERM;
    return no_moving ? -1 : __real_madvise(at, bytes, advice);
}

int __wrap_mprotect(void *at, size_t bytes, int protection);
int __real_mprotect(void *at, size_t bytes, int protection);
int __wrap_mprotect(void *at, size_t bytes, int protection)
{
    errno = ENOMEM;
    return no_rights ? -1 : __real_mprotect(at, bytes, protection);
}

int __wrap_munmap(void *at, size_t bytes);
int __real_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes)
{
    if (refusals == 0)
        return __real_munmap(at, bytes);
    refusals--;
    errno = ENOMEM;
    return -1;
}

/* Of the page at `at`. */
static bool mapped(const char *at)
{
    return msync((void *)round_down((uintptr_t)at, NH_SYSTEM_PAGE), NH_SYSTEM_PAGE, MS_ASYNC) == 0;
}

static void what_is_discarded_goes_when_it_can(void **state)
{
    (void)state;
    char *three[3];
    for (int i = 0; i < 3; i++) {
        three[i] = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
        assert_non_null(three[i]);
    }
    refusals = 3;
    errno = EXDEV;
    for (int i = 0; i < 3; i++)
        os_discard(three[i], NH_HUGE);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(refusals, 0);
    for (int i = 0; i < 3; i++)
        assert_true(mapped(three[i]) && mapped(three[i] + NH_HUGE - 1));
    /* One is refused again, and then taken too.  What is mapped may be where they were. */
    refusals = 1;
    char *at = os_map(NH_SYSTEM_PAGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    int left = 0;
    for (int i = 0; i < 3; i++)
        left += mapped(three[i] + NH_HUGE / 2);
    assert_int_equal(left, 1);
    errno = EXDEV;
    char *other = os_map(NH_SYSTEM_PAGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(other);
    assert_int_equal(errno, EXDEV);
    for (int i = 0; i < 3; i++)
        assert_false(mapped(three[i] + NH_HUGE / 2));
    assert_true(os_unmap(at, NH_SYSTEM_PAGE));
    assert_true(os_unmap(other, NH_SYSTEM_PAGE));
}

/* At a hint that is not aligned the first mapping is given up, and the next cut. */
static void a_misaligned_mapping_is_not_lost(void **state)
{
    (void)state;
    char *place = os_map(4 * NH_HUGE, NH_HUGE, 0);
    assert_non_null(place);
    assert_true(os_unmap(place, 4 * NH_HUGE));
    refusals = 3;
    errno = EXDEV;
    char *at = os_map(NH_HUGE, NH_HUGE, (uintptr_t)place + NH_HUGE / 2);
    assert_non_null(at);
    assert_int_equal((uintptr_t)at % NH_HUGE, 0);
    assert_int_equal(errno, EXDEV);
    assert_true(refusals < 3);
    refusals = 0;
    memset(at, 1, NH_HUGE); /* what is left over is not written into it */
    char *next = os_map(NH_SYSTEM_PAGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(next);
    for (size_t i = 0; i < NH_HUGE; i++)
        assert_int_equal(at[i], 1);
    assert_true(os_unmap(at, NH_HUGE));
    assert_true(os_unmap(next, NH_SYSTEM_PAGE));
    assert_false(mapped(place + NH_HUGE / 2));
}

static void a_refused_unmapping_changes_nothing(void **state)
{
    (void)state;
    char *at = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    memset(at, 7, NH_HUGE);
    refusals = 1;
    errno = EXDEV;
    assert_false(os_unmap(at, NH_HUGE));
    assert_int_equal(errno, EXDEV);
    for (size_t i = 0; i < NH_HUGE; i++)
        assert_int_equal(at[i], 7);
    assert_true(os_unmap(at, NH_HUGE));
    assert_false(mapped(at));
}

/* Nor is the lock taken from it. */
static void what_is_locked_is_not_moved(void **state)
{
    (void)state;
    char *from = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0), *to = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_true(from != NULL && to != NULL);
    memset(from, 7, NH_HUGE);
    /* Sanitizers replace the function.  It may be that not a page may be locked. */
    if (syscall(SYS_mlock, from, NH_SYSTEM_PAGE) != 0)
        skip();
    bool anew = true;
    assert_int_equal(os_move_pages(from, to, NH_HUGE, &anew), 0);
    assert_false(anew);
    /* Who asks to drop what is locked is refused. */
    assert_int_not_equal(msync(from, NH_SYSTEM_PAGE, MS_INVALIDATE), 0);
    for (size_t i = 0; i < NH_HUGE; i++)
        assert_int_equal(from[i], 7);
    assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
}

static void a_refused_move_changes_nothing(void **state)
{
    (void)state;
    char *from = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0), *to = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_true(from != NULL && to != NULL);
    memset(from, 7, NH_HUGE);
    no_moving = true;
    errno = EXDEV;
    bool anew = true;
    assert_int_equal(os_move_pages(from, to, NH_HUGE, &anew), 0);
    assert_false(anew);
    no_moving = false;
    assert_int_equal(errno, EXDEV);
    for (size_t i = 0; i < NH_HUGE; i++)
        assert_int_equal(from[i], 7);
    memset(to, 8, NH_HUGE);
    assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
}

static void all_are(const char *at, size_t bytes, char value)
{
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(at[i], value);
}

/* A huge page of sevens, with so many mappings of a page each in its middle. */
static char *mapped_in_parts(unsigned parts)
{
    size_t page = os_page();
    char *at = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    memset(at, 7, NH_HUGE);
    for (unsigned i = 0; i < parts; i += 2)
        assert_int_equal(madvise(at + NH_HUGE / 2 + i * page, page, MADV_DONTFORK), 0);
    return at;
}

static char *target(void)
{
    char *at = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    memset(at, 8, NH_HUGE);
    return at;
}

static void mappings_move_one_by_one(void **state)
{
    (void)state;
    bool anew = true;
    char *from = mapped_in_parts(1), *to = target();
    moves = 0;
    errno = EXDEV;
    assert_int_equal(os_move_pages(from, to, NH_HUGE, &anew), NH_HUGE);
    assert_int_equal(errno, EXDEV);
    assert_false(anew);
    assert_int_equal(moves, 3);
    assert_int_equal(moved[0], NH_HUGE / 2);
    assert_int_equal(moved[1], os_page());
    assert_int_equal(moved[2], NH_HUGE / 2 - os_page());
    all_are(from, NH_HUGE, 0);
    all_are(to, NH_HUGE, 7);
    /* All there is before and behind is asked about, but not touched. */
    assert_int_equal(os_move_pages(to + os_page(), from, NH_HUGE / 2 - os_page(), &anew),
                     NH_HUGE / 2 - os_page());
    assert_int_equal(moves, 4);
    all_are(to, os_page(), 7);
    all_are(to + os_page(), NH_HUGE / 2 - os_page(), 0);
    all_are(to + NH_HUGE / 2, NH_HUGE / 2, 7);
    assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
}

static void a_move_that_fails_midway_loses_nothing(void **state)
{
    (void)state;
    for (unsigned done = 0; done < 3; done++) {
        bool anew = false;
        char *from = mapped_in_parts(1), *to = target();
        moves = 0;
        moves_until = done;
        errno = EXDEV;
        size_t bytes = os_move_pages(from, to, NH_HUGE, &anew);
        moves_until = UINT_MAX;
        assert_int_equal(errno, EXDEV);
        assert_int_equal(bytes, done == 0 ? 0 : NH_HUGE / 2 + (done - 1) * os_page());
        assert_true(anew);
        all_are(from, bytes, 0);
        all_are(from + bytes, NH_HUGE - bytes, 7);
        all_are(to, bytes, 7);
        memset(to + bytes, 9, NH_HUGE - bytes); /* all of it is mapped */
        assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
    }
}

static void of_many_mappings_some_move(void **state)
{
    (void)state;
    bool anew = true;
    char *from = mapped_in_parts(2 * OS_MAPPINGS_MOVED), *to = target();
    moves = 0;
    size_t bytes = os_move_pages(from, to, NH_HUGE, &anew);
    assert_int_equal(moves, OS_MAPPINGS_MOVED);
    assert_int_equal(bytes, NH_HUGE / 2 + (OS_MAPPINGS_MOVED - 1) * os_page());
    assert_false(anew);
    all_are(from, bytes, 0);
    all_are(from + bytes, NH_HUGE - bytes, 7);
    all_are(to, bytes, 7);
    assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
}

/* As a system call finds it, which fails where the program would be ended. */
static bool touchable(char *at)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool readable = write(ends[1], at, 1) == 1;
    bool writable = readable && read(ends[0], at, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable && writable;
}

static void what_is_protected_keeps_its_contents(void **state)
{
    (void)state;
    size_t page = os_page();
    char *at = os_map(3 * page, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    memset(at, 5, 3 * page);
    errno = EXDEV;
    assert_true(os_protect(at + page, page, OS_ACCESS_NONE));
    assert_false(os_protect(NULL, page, OS_ACCESS_ALL)); /* nothing is mapped there */
    assert_int_equal(errno, EXDEV);
    assert_true(touchable(at + page - 1) && touchable(at + 2 * page));
    assert_false(touchable(at + page) || touchable(at + 2 * page - 1));
    assert_true(os_protect(at, 3 * page, OS_ACCESS_ALL));
    for (size_t i = 0; i < 3 * page; i++)
        assert_int_equal(at[i], 5);
    assert_true(touchable(at + page));
    assert_true(os_unmap(at, 3 * page));
}

static void mappings_are_counted(void **state)
{
    enum { PAGES = 2000 };
    (void)state;
    size_t page = os_page(), before = os_mappings(SIZE_MAX - 1);
    assert_in_range(before, 5, 5000);
    char *at = os_map(PAGES * page, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    for (size_t i = 1; i < PAGES; i += 2)
        assert_true(os_protect(at + i * page, page, OS_ACCESS_NONE));
    errno = EXDEV;
    assert_in_range(os_mappings(SIZE_MAX - 1), before + PAGES - 5, before + PAGES + 5);
    assert_true(os_mappings(PAGES / 2) > PAGES / 2);
    assert_int_equal(errno, EXDEV);
    assert_true(os_unmap(at, PAGES * page));
}

/* Four pages, and a place for twice as many behind them. */
static char *with_room_behind(void)
{
    size_t bytes = 4 * os_page();
    char *at = os_map(3 * bytes, NH_SYSTEM_PAGE, 0);
    assert_non_null(at);
    assert_true(os_unmap(at + bytes, 2 * bytes));
    memset(at, 7, bytes);
    return at;
}

static void a_mapping_grows_at_its_end(void **state)
{
    (void)state;
    size_t page = os_page();
    char *at = with_room_behind(), *end = at + 4 * page;
    no_moving = true;
    errno = EXDEV;
    assert_false(os_extend((uintptr_t)end, page));
    no_moving = false;
    assert_int_equal(errno, EXDEV);
    assert_false(mapped(end));
    errno = EXDEV;
    assert_true(os_extend((uintptr_t)end, 2 * page));
    assert_int_equal(errno, EXDEV);
    for (size_t i = 0; i < 2 * page; i++)
        assert_int_equal(end[i], 0);
    memset(end, 8, 2 * page);
    for (size_t i = 0; i < 4 * page; i++)
        assert_int_equal(at[i], 7);
    assert_false(os_extend((uintptr_t)end, page)); /* it does not end there any more */
    assert_int_equal(end[0], 8);
    assert_int_equal(errno, EXDEV);
    assert_true(os_unmap(at, 6 * page));
}

static void what_grows_from_a_closed_page_is_open(void **state)
{
    (void)state;
    size_t page = os_page();
    char *at = with_room_behind(), *end = at + 4 * page;
    assert_true(os_protect(end - page, page, OS_ACCESS_NONE));
    no_rights = true;
    errno = EXDEV;
    assert_false(os_extend((uintptr_t)end, 2 * page));
    no_rights = false;
    assert_int_equal(errno, EXDEV);
    assert_false(mapped(end));
    assert_true(os_extend((uintptr_t)end, 2 * page));
    assert_true(touchable(end) && touchable(end + 2 * page - 1));
    assert_false(touchable(end - page) || touchable(end - 1));
    assert_true(os_unmap(at, 6 * page));
}

static void limit_addresses(const struct rlimit *before, rlim_t most)
{
    struct rlimit limit = {.rlim_cur = most, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static void what_is_refused_is_told_from_a_system_that_maps_nothing(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    size_t too_much = (size_t)1 << NH_ADDRESS_BITS;
    errno = EXDEV;
    bool little = os_refuses(NH_HUGE), much = os_refuses(too_much);
    limit_addresses(&before, 0);
    bool nothing = os_refuses(too_much);
    limit_addresses(&before, before.rlim_cur);
    assert_int_equal(errno, EXDEV);
    assert_false(little);
    assert_true(much);
    assert_false(nothing);
}

static void a_clock_that_is_refused_reads_0(void **state)
{
    (void)state;
    errno = EXDEV;
    assert_int_equal(os_clock_ns(12345), 0);
    assert_true(os_clock_ns(CLOCK_MONOTONIC) > 0);
    assert_int_equal(errno, EXDEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_discarded_goes_when_it_can),
        cmocka_unit_test(a_misaligned_mapping_is_not_lost),
        cmocka_unit_test(a_refused_unmapping_changes_nothing),
        cmocka_unit_test(what_is_locked_is_not_moved),
        cmocka_unit_test(a_refused_move_changes_nothing),
        cmocka_unit_test(mappings_move_one_by_one),
        cmocka_unit_test(a_move_that_fails_midway_loses_nothing),
        cmocka_unit_test(of_many_mappings_some_move),
        cmocka_unit_test(what_is_protected_keeps_its_contents),
        cmocka_unit_test(mappings_are_counted),
        cmocka_unit_test(mappings_are_counted),
        cmocka_unit_test(a_mapping_grows_at_its_end),
        cmocka_unit_test(what_grows_from_a_closed_page_is_open),
        cmocka_unit_test(what_is_refused_is_told_from_a_system_that_maps_nothing),
        cmocka_unit_test(a_clock_that_is_refused_reads_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
