/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * os.c - the only file that maps, unmaps, moves, protects, advises or asks about memory.
 */
#include "os.h"

#include "limits.h"
#include "numa/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Not MAP_NORESERVE: a request beyond all reason shall be refused now rather
 * than kill the process when it is touched. */
#define MAP_KIND (MAP_PRIVATE | MAP_ANONYMOUS)

/* What is read at once of the list of mappings, on the stack of whoever calls realloc. */
#define MAPS_READ 1024

size_t os_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE); /* no system call in glibc */
}

static void *map_at(uintptr_t hint, size_t bytes)
{
    void *at = mmap((void *)hint, bytes, PROT_READ | PROT_WRITE, MAP_KIND, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* What the system would not take back, each written down at its own beginning.  Pushed by
 * a release, taken as a whole by an acquire. */
struct leftover {
    struct leftover *next;
    size_t bytes;
};
static _Atomic(struct leftover *) leftovers;

/* Changes errno. */
static void discard(void *at, size_t bytes)
{
    if (nh_likely(munmap(at, bytes) == 0))
        return;
    struct leftover *left = at;
    left->bytes = bytes;
    left->next = atomic_load_explicit(&leftovers, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&leftovers, &left->next, left,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

static void discard_leftovers(void)
{
    if (nh_likely(atomic_load_explicit(&leftovers, memory_order_relaxed) == NULL))
        return;
    struct leftover *next;
    for (struct leftover *left = atomic_exchange_explicit(&leftovers, NULL, memory_order_acquire);
         left != NULL; left = next) {
        next = left->next;
        discard(left, left->bytes);
    }
}

void os_discard(void *at, size_t bytes)
{
    int saved = errno;
    discard(at, bytes);
    errno = saved;
}

void *os_map(size_t bytes, size_t alignment, uintptr_t hint)
{
    int saved = errno;
    discard_leftovers();
    char *at = map_at(hint, bytes);
    if (at != NULL && ((uintptr_t)at & (alignment - 1)) != 0) {
        discard(at, bytes);
        size_t padded = bytes + alignment;
        at = padded < bytes ? NULL : map_at(0, padded);
        if (at != NULL) {
            char *aligned = (char *)round_up((uintptr_t)at, alignment);
            size_t head = (size_t)(aligned - at);
            if (head != 0)
                discard(at, head);
            if (padded - head != bytes)
                discard(aligned + bytes, padded - head - bytes);
            at = aligned;
        }
    }
    errno = saved;
    return at;
}

bool os_extend(uintptr_t end, size_t bytes)
{
    int saved = errno;
    size_t page = os_page();
    bool done = mremap((void *)(end - page), page, page + bytes, 0) != MAP_FAILED;
    /* The last page may have been closed, and so what follows it; else this changes nothing. */
    if (done && mprotect((void *)end, bytes, PROT_READ | PROT_WRITE) != 0) {
        (void)munmap((void *)end, bytes); /* at its end a mapping is cut without another one */
        done = false;
    }
    errno = saved;
    return done;
}

/* Changes errno. */
static bool can_map(size_t bytes)
{
    void *at = map_at(0, bytes);
    if (at != NULL)
        discard(at, bytes);
    return at != NULL;
}

bool os_refuses(size_t bytes)
{
    int saved = errno;
    discard_leftovers();
    bool refuses = !can_map(bytes) && can_map(os_page());
    errno = saved;
    return refuses;
}

bool os_unmap(void *at, size_t bytes)
{
    int saved = errno;
    bool done = munmap(at, bytes) == 0;
    errno = saved;
    return done;
}

bool os_release(void *at, size_t bytes)
{
    int saved = errno;
    bool done = madvise(at, bytes, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

void os_advise_huge(void *at, size_t bytes, enum os_huge use)
{
    if (use == OS_HUGE_DEFAULT)
        return;
    int saved = errno;
    /* Kernels without huge pages refuse; there is nothing to do then. */
    (void)madvise(at, bytes, use == OS_HUGE_ALWAYS ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    errno = saved;
}

#define HUGE_SETTINGS "/sys/kernel/mm/transparent_hugepage"

/* Of the words in such a file the kernel marks the one that holds. */
static bool is_always(const char *path, bool untold)
{
    char text[64];
    return read_file(path, text, sizeof text) > 0 ? strstr(text, "[always]") != NULL : untold;
}

bool os_huge_by_default(void)
{
    enum { UNKNOWN, NO, YES };
    static _Atomic int known; /* relaxed: who finds it unknown asks as well */
    int now = atomic_load_explicit(&known, memory_order_relaxed);
    if (now == UNKNOWN) {
        /* Where the size has a file, that may say the same, or that the other holds. */
        bool always = is_always(HUGE_SETTINGS "/enabled", true) ||
                      is_always(HUGE_SETTINGS "/hugepages-2048kB/enabled", false);
        now = always ? YES : NO;
        atomic_store_explicit(&known, now, memory_order_relaxed);
    }
    return now == YES;
}

bool os_protect(void *at, size_t bytes, enum os_access access)
{
    int saved = errno;
    int protection = access == OS_ACCESS_ALL ? PROT_READ | PROT_WRITE : PROT_NONE;
    bool done = mprotect(at, bytes, protection) == 0;
    errno = saved;
    return done;
}

enum os_change os_unprotect_zeros(void *at, size_t bytes)
{
    if (nh_likely(os_protect(at, bytes, OS_ACCESS_ALL)))
        return OS_DONE;
    int saved = errno;
    bool done = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_KIND | MAP_FIXED, -1, 0) == at;
    errno = saved;
    return done ? OS_NEW : OS_REFUSED;
}

#ifdef MREMAP_DONTUNMAP
/* Whether [at, at + bytes), below `stack`, lies in one mapping.  The kernel looks for that first
 * where one is to grow, which it cannot to over the first thread's stack. */
static bool is_one_mapping(char *at, size_t bytes, uintptr_t stack)
{
    return mremap(at, bytes, stack + os_page() - (uintptr_t)at, 0) != MAP_FAILED || errno != EFAULT;
}

/* How many of these bytes lie in the mapping of the first one. */
static size_t bytes_of_mapping(char *at, size_t bytes, uintptr_t stack)
{
    if (nh_likely(is_one_mapping(at, bytes, stack)))
        return bytes;
    size_t page = os_page(), inside = page, beyond = bytes;
    while (beyond - inside > page) {
        size_t middle = inside + round_down((beyond - inside) / 2, page);
        if (is_one_mapping(at, middle, stack))
            inside = middle;
        else
            beyond = middle;
    }
    return inside;
}

/* Of one mapping: all or nothing. */
static bool move_mapping(char *from, char *to, size_t bytes, bool *anew)
{
    if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) !=
        MAP_FAILED)
        return true;
    /* The kernel may have dropped the target's mapping before it failed;
     * the range belongs to the heap, which must find memory there.  Where
     * no mapping can be added at all, the old one is there still: ENOMEM would say
     * that it is not. */
    *anew = mmap(to, bytes, PROT_READ | PROT_WRITE, MAP_KIND | MAP_FIXED, -1, 0) == to;
    nh_require(*anew || madvise(to, bytes, MADV_NORMAL) == 0 || errno != ENOMEM);
    return false;
}
#endif

size_t os_move_pages(void *from, void *to, size_t bytes, bool *anew)
{
    size_t moved = 0;
    *anew = false;
#ifdef MREMAP_DONTUNMAP
    uintptr_t stack = round_down((uintptr_t)getauxval(AT_RANDOM), os_page());
    if (nh_unlikely((((uintptr_t)from | (uintptr_t)to | bytes) & (os_page() - 1)) != 0 ||
                    (uintptr_t)from + bytes > stack))
        return 0;
    int saved = errno;
    /* Of a mapping that is locked, as all are after mlockall, the kernel would take the lock, and
     * not only where the pages were.  Nothing else is refused here, nor done.  (msync itself is a
     * cancellation point.) */
    if (syscall(SYS_msync, from, bytes, MS_INVALIDATE) == 0) {
        /* One mapping after the other: kernels before 6.17 refuse to move more at once, and later
         * ones do not say how many they had moved when one failed. */
        for (unsigned i = 0; moved < bytes && i < OS_MAPPINGS_MOVED; i++) {
            char *at = (char *)from + moved;
            size_t piece = bytes_of_mapping(at, bytes - moved, stack);
            if (!move_mapping(at, (char *)to + moved, piece, anew))
                break;
            moved += piece;
        }
    }
    errno = saved;
#else
    (void)from, (void)to, (void)bytes;
#endif
    return moved;
}

/* A line each of the file, which is the thread's: when the first one has ended, the process's
 * is empty.  No cancellation points, as in read_file.c. */
size_t os_mappings(size_t most)
{
    char text[MAPS_READ];
    int saved = errno;
    size_t count = SIZE_MAX;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        long n = 0;
        for (count = 0; count <= most;) {
            n = syscall(SYS_read, fd, text, sizeof text);
            if (n <= 0)
                break;
            for (long i = 0; i < n; i++)
                count += text[i] == '\n';
        }
        if (n < 0)
            count = SIZE_MAX;
        syscall(SYS_close, fd);
    }
    errno = saved;
    return count;
}

bool os_random(void *out, size_t bytes)
{
    int saved = errno;
    /* So few come whole, or none; before the system has gathered any, it is not waited for. */
    bool done = getrandom(out, bytes, GRND_NONBLOCK) == (ssize_t)bytes;
    errno = saved;
    return done;
}

uint64_t os_clock_ns(int clock)
{
    int saved = errno;
    struct timespec now = {0};
    if (clock_gettime(clock, &now) != 0)
        errno = saved;
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool os_resident(void *at, size_t bytes, unsigned char *out)
{
    int saved = errno;
    bool told = mincore(at, bytes, out) == 0;
    errno = saved;
    return told;
}

uint64_t os_now_ms(void)
{
    return os_clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}
