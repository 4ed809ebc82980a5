/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * os.h - the contract with the operating system's memory.  os.c alone calls
 * mmap, munmap, mremap, mprotect, madvise and mincore for it; share.c, for the shared page,
 * which is a file's.
 *
 * All sizes and addresses are multiples of the system's page unless said
 * otherwise; lengths of mappings may be multiples of NH_SYSTEM_PAGE, and are rounded
 * up by the system.  Nothing here takes a lock, allocates or changes errno.
 */
#ifndef NH_OS_H
#define NH_OS_H

#include "base.h"
#include "limits.h"

/* The system's page: what it maps, gives back and moves the whole of.  4 KiB on x86-64;
 * arm64 kernels have 4, 16 or 64 KiB, and then more than one of the heap's in each. */
size_t os_page(void);
/* The least that is whole pages of both, the system and the heap. */
NH_INLINE size_t os_whole_page(void)
{
    size_t system = os_page();
    return system > NH_PAGE ? system : NH_PAGE;
}

/* Zeroed, private, readable and writable memory aligned to `alignment` (a
 * power of two of at least a system page), near `hint` if that is free; NULL
 * when the system refuses. */
void *os_map(size_t bytes, size_t alignment, uintptr_t hint);
/* The same at `end`, by making the mapping longer that ends there, whose last page is the
 * caller's: the process has no mapping more then.  False when the system refuses, or others
 * have these addresses. */
bool os_extend(uintptr_t end, size_t bytes);
/* Whether the system refuses to map so much, and would map a page: false where it maps nothing at
 * all, which says nothing of how much it has.  What it does map is unmapped at once. */
bool os_refuses(size_t bytes);
/* False when the system cannot (it would have to split a mapping, and there are
 * too many): all is as before then. */
bool os_unmap(void *at, size_t bytes);
/* The same for what nobody needs any more, which is taken back now or, where the system
 * cannot, when memory is mapped next.  Its contents may be written to. */
void os_discard(void *at, size_t bytes);

/* Gives the pages' memory back; they read as zeros afterwards.  False if the
 * system refuses (locked memory): contents are then unknown. */
bool os_release(void *at, size_t bytes);

enum os_huge { OS_HUGE_DEFAULT, OS_HUGE_ALWAYS, OS_HUGE_NEVER };
/* Whether the kernel may back [at, at + bytes) with huge pages. */
void os_advise_huge(void *at, size_t bytes, enum os_huge use);
/* Whether it does so where nothing was advised, as it was set when this was first asked; true
 * where it does not tell. */
bool os_huge_by_default(void);

enum os_access { OS_ACCESS_NONE, OS_ACCESS_ALL };
/* Whether [at, at + bytes) may be touched.  False when the system cannot (it would have to
 * split a mapping, and there are too many): some of it may be changed then. */
bool os_protect(void *at, size_t bytes, enum os_access access);

/* How pages were changed: not, as asked for, or what is mapped there now is new: zeros, with
 * neither a policy nor advice. */
enum os_change { OS_REFUSED, OS_DONE, OS_NEW };

/* Lets pages be touched that hold zeros. */
enum os_change os_unprotect_zeros(void *at, size_t bytes);

/* Moves pages of [from, from + bytes) to `to`, which is mapped and whose own contents are
 * dropped, and tells how many bytes from the first one on: fewer than all, or none, when the
 * kernel cannot, they are locked in memory, no whole system pages, or in too many mappings.
 * What was moved stays mapped at the source and reads as zeros; the rest of the source is
 * unchanged, and all of the target mapped, if *anew some of it behind what was moved as
 * OS_NEW says. */
size_t os_move_pages(void *from, void *to, size_t bytes, bool *anew);
/* Mappings that may move at once; what lies in more is copied into one. */
#define OS_MAPPINGS_MOVED 64

/* Which pages of [at, at + bytes) are in memory: one byte each system page, of which this bit
 * tells.  False when not all of it is mapped, or the kernel does not tell. */
#define OS_RESIDENT 1U
bool os_resident(void *at, size_t bytes, unsigned char *out);

/* How many mappings the process has, counted up to where they are more than `most`; SIZE_MAX
 * where the kernel does not tell.  Up to a microsecond each. */
size_t os_mappings(size_t most);

/* Bytes that nobody can foretell; false where they are refused. */
bool os_random(void *out, size_t bytes);

/* Nanoseconds that a clock of the system's shows (CLOCK_MONOTONIC ...); 0 where it is
 * refused. */
uint64_t os_clock_ns(int clock);

/* Milliseconds of a clock that never jumps back; a few ms coarse, cheap. */
uint64_t os_now_ms(void);

#endif
