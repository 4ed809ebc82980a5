/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * probe.h - the places that a tracer can watch (USDT: bpftrace, perf, SystemTap,
 * gdb), all of provider "nearheap" and all on slow paths.
 *
 * A probe is one nop and a note in the ELF file that says where it is and where its
 * arguments are; nobody who does not trace pays more.  Where <sys/sdt.h> is not there
 * at build, a probe is nothing.  tests/probes.sh compares this list with the library.
 *
 * `heap` is the number of a heap: those of nodes count from 0 in the order of the
 * system's numbers of nodes, and NH_HEAP_INTERLEAVED is the interleaved one.
 */
#ifndef NH_PROBE_H
#define NH_PROBE_H

#ifdef NH_HAVE_SDT
#include <sys/sdt.h>
#else
#define STAP_PROBE2(provider, name, a, b)       ((void)(a), (void)(b))
#define STAP_PROBE3(provider, name, a, b, c)    ((void)(a), (void)(b), (void)(c))
#define STAP_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* A cache of `heap` got a magazine with `objects` objects of size class `cls`. */
#define probe_refill(heap, cls, objects) STAP_PROBE3(nearheap, refill, heap, cls, objects)
/* A cache of `heap` gave its central list a magazine with `objects` objects. */
#define probe_flush(heap, cls, objects) STAP_PROBE3(nearheap, flush, heap, cls, objects)
/* `heap` got `bytes` of address space from the system. */
#define probe_grow(heap, bytes) STAP_PROBE2(nearheap, grow, heap, bytes)
/* `heap` was out of memory and took a run of `pages` heap pages from heap `lender`. */
#define probe_borrow(heap, lender, pages) STAP_PROBE3(nearheap, borrow, heap, lender, pages)
/* `heap` gave `bytes` of free pages back to the system. */
#define probe_scavenge(heap, bytes) STAP_PROBE2(nearheap, scavenge, heap, bytes)
/* nh_migrate_heap from node `from` to node `to`, the system's numbers: bytes that moved,
 * and that did not. */
#define probe_migrate(from, to, moved_bytes, failed_bytes)                                         \
    STAP_PROBE4(nearheap, migrate, from, to, moved_bytes, failed_bytes)
/* The function named `call` (a string) was given `ptr`, which it cannot take. */
#define probe_bad_free(ptr, call) STAP_PROBE2(nearheap, bad_free, ptr, call)

#endif
