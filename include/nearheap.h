/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * nearheap.h - the one public header of nearheap, a NUMA-aware malloc.
 *
 * A program linked or preloaded with libnearheap gets malloc, free and the
 * rest of the family from nearheap without including this file.  Include it
 * to ask where memory lies, to allocate on a chosen node, to read statistics,
 * or to call the allocator by its own names (the only names the library
 * nearheap_noreplace has).
 *
 * Conventions, unless a declaration says otherwise:
 *  - sizes are bytes; nodes are numbered as the operating system and libnuma
 *    number them (they may be sparse);
 *  - every function may be called from any thread at any time, also before
 *    constructors and from exit handlers, but not from a signal handler that
 *    interrupted one of them (nh_lookup and nh_node_of may be called there, too);
 *  - memory returned by any nh_ allocation function is owned by the caller
 *    and released with free() or nh_free(), from any thread;
 *  - allocation functions return NULL and set errno to ENOMEM on failure;
 *    nh_free never changes errno.
 */
#ifndef NEARHEAP_H
#define NEARHEAP_H

#include <stddef.h>
#include <stdint.h>

#define NH_VERSION_MAJOR 0
#define NH_VERSION_MINOR 1
#define NH_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NH_API __attribute__((visibility("default")))
#else
#define NH_API
#endif

/* ---- The malloc family under nearheap's own names -----------------------
 * Each behaves exactly as the C, POSIX or glibc function it is named after.
 */
NH_API void *nh_malloc(size_t size);
NH_API void *nh_calloc(size_t count, size_t size);
NH_API void *nh_realloc(void *ptr, size_t size);
NH_API void *nh_reallocarray(void *ptr, size_t count, size_t size);
NH_API void nh_free(void *ptr);
/* C23: `size` (and `alignment`) must be what was asked for at allocation; a size
 * that the object never had room for is reported as a bad free, and in a hardened
 * process any other than that, for objects up to the largest size class. */
NH_API void nh_free_sized(void *ptr, size_t size);
NH_API void nh_free_aligned_sized(void *ptr, size_t alignment, size_t size);
NH_API int nh_posix_memalign(void **out, size_t alignment, size_t size);
NH_API void *nh_aligned_alloc(size_t alignment, size_t size);
NH_API void *nh_memalign(size_t alignment, size_t size);
NH_API void *nh_valloc(size_t size);
NH_API void *nh_pvalloc(size_t size);
NH_API size_t nh_malloc_usable_size(void *ptr);
/* Releases to the operating system all memory that is free now, but for `pad`
 * bytes a node.  Returns 1 if any was released, else 0. */
NH_API int nh_malloc_trim(size_t pad);

/* ---- Nodes --------------------------------------------------------------- */

/* Number of NUMA nodes with memory that the process may use now; at least 1. */
NH_API int nh_node_count(void);

/* The node that the calling thread's memory comes from now: the one it is fixed to, or that of the
 * CPU it runs on.  The thread may have moved by the time the call returns. */
NH_API int nh_current_node(void);

/* The home node of the object that `ptr` points to or into: where its memory is
 * placed, also when that was borrowed for another node.  -1 with errno EINVAL
 * when none of nearheap's is there, ENODATA when it is interleaved.  Of memory that was freed the
 * answer is the node of the span it lay in, while that holds other objects. */
NH_API int nh_node_of(const void *ptr);

/* What an address is. */
enum nh_what {
    NH_NOTHING,     /* no memory of nearheap's, or unused address space of its */
    NH_CHANGING,    /* its memory, which other threads allocate, free, split or join just now */
    NH_FREE_PAGES,  /* in a free span */
    NH_FREE_OBJECT, /* in a span with objects, where one is free */
    NH_OBJECT,      /* in an object: the program holds it, or a cache has it for the next malloc */
    NH_PAGES,       /* in pages of nh_pages_alloc */
    NH_REST         /* behind the last object of a span, or beside one between guard pages */
};

/* The caller sets struct_size. */
struct nh_object {
    size_t struct_size;
    const void *object;  /* first byte of NH_FREE_OBJECT, NH_OBJECT or NH_PAGES, else NULL */
    size_t size;         /* its bytes, rounded up to the size class (hardened: less 8); not so
                            between guard pages */
    const void *span;    /* first byte of the span, NULL for NH_NOTHING and NH_CHANGING */
    size_t span_size;    /* bytes */
    uint64_t generation; /* another one whenever the span came to another use or other bounds */
    int32_t what;        /* enum nh_what */
    int32_t size_class;  /* a number for each size of object; 0: none */
    int32_t home_node;   /* where the memory is placed; -1: interleaved, or no span */
    int32_t user_node;   /* whose heap uses it: another one while it is borrowed */
};

/* What is at `addr`, which may be any address whatever: within an object, of the
 * stack, freed, unmapped, the kernel's.  Never takes a lock, waits or faults, does not
 * change errno but on failure, and may be called from signal handlers.  For an address
 * in an object that is not freed or reallocated during the call the answer is exact.
 * Any other answer was right at one moment during the call: of an object of which
 * every copy of the pointer was freed it is NH_OBJECT as long as a cache has it.
 * 0, or -1 with errno EINVAL for a struct_size smaller than up to `object`. */
NH_API int nh_lookup(const void *addr, struct nh_object *out);

/* What a span is used for. */
enum nh_span_state {
    NH_SPAN_IN_USE = 1, /* objects of one size, or one large object */
    NH_SPAN_MANUAL,     /* pages of nh_pages_alloc (one object), on their way to the system, or
                           guarded since an object there was freed */
    NH_SPAN_FREE
};

/* Filled in by nearheap; struct_size says how much its version knows. */
struct nh_span {
    size_t struct_size;
    const void *base;
    size_t size;                              /* bytes */
    uint64_t generation;                      /* as in nh_object */
    size_t object_size;                       /* bytes; 0: no objects */
    uint32_t objects;                         /* places for them */
    uint32_t held;                            /* of which the program holds so many */
    int32_t state;                            /* enum nh_span_state */
    int32_t size_class, home_node, user_node; /* as in nh_object */
};

/* Call fn with every span (nh_foreach: in one state), or with every object that the
 * program holds, pages of nh_pages_alloc too, each once, in order of addresses, until fn
 * returns another value than 0, which they return then; else 0, or -1 with errno ENOMEM
 * without memory for the list.
 *
 * They first take a list of all spans, each with its objects as it was at one moment,
 * while other threads go on; then they call fn, which may do whatever the caller may,
 * also allocate, free, and walk.  An object that is held all the time while the list is
 * taken is in it (on arm64 seldom one is not that left a running thread's cache just
 * before), one that is free all that time is not, whatever caches hold; others may
 * be, and so may objects that running threads hand on from cache to cache just
 * then.  By the time fn is called anything may have been freed: what it gets are
 * numbers, not memory.  Takes milliseconds for each gigabyte, and what caches hold goes
 * back to spans as by nh_malloc_trim. */
NH_API int nh_walk_spans(int (*fn)(const struct nh_span *span, void *arg), void *arg);
NH_API int nh_foreach(enum nh_span_state state, int (*fn)(const struct nh_span *span, void *arg),
                      void *arg);
NH_API int nh_walk_objects(int (*fn)(const struct nh_object *object, void *arg), void *arg);

/* Writes a picture of the heap for tools/nearheap-map to the file descriptor `fd`: every
 * span with its node, class, what of it the program and caches hold, and for how long free
 * ones have been free; which pages are in memory; options and counters.  Lines of text, about
 * 60 bytes a span.  Others go on meanwhile, and nothing is collected or given back for it.
 * 0, or -1 with the errno of what the file refuses, ENOMEM without memory for a list of the
 * spans (128 bytes each). */
NH_API int nh_dump(int fd);

/* As malloc and calloc, from the heap of `node`.  NULL with errno EINVAL when
 * there is no such node. */
NH_API void *nh_malloc_on_node(size_t size, int node);
NH_API void *nh_calloc_on_node(size_t count, size_t size, int node);

/* From now on the calling thread's memory comes from the heap of `node`,
 * wherever it runs; -1: again from that of the node it runs on.  What it has
 * cached goes back.  0, or -1 with errno EINVAL when there is no such node. */
NH_API int nh_set_thread_node(int node);

/* As malloc, but of whole pages that are spread evenly over all nodes, or those
 * of NEARHEAP_INTERLEAVE_NODES: for what threads of all nodes use alike. */
NH_API void *nh_malloc_interleaved(size_t size);

/* The unit of nh_pages_alloc. */
#define NH_PAGE_BYTES 8192

/* Memory of `pages` times NH_PAGE_BYTES for a buffer pool, from the heap of
 * `node` (-1: the thread's), outside all size classes, aligned to
 * NH_PAGE_BYTES; its contents are unspecified.  NULL with errno ENOMEM, or
 * EINVAL for no pages or no such node.  Freed by nh_pages_free alone, whole. */
NH_API void *nh_pages_alloc(size_t pages, int node);
/* NULL is allowed.  A pointer that nh_pages_alloc did not return, or that was
 * freed before, is reported as a bad free. */
NH_API void nh_pages_free(void *ptr);

/* Where the memory of objects really is.  The caller sets struct_size. */
struct nh_placement {
    size_t struct_size;
    uint64_t right_bytes;  /* on the node they belong to */
    uint64_t wrong_bytes;  /* on another */
    uint64_t absent_bytes; /* never touched, or swapped out */
};

/* Asks the kernel where pages in use are that belong to `node` (-1: all nodes),
 * every page for `samples` 0, else about so many, evenly chosen, and adds up
 * their bytes.  Interleaved memory is right on any node.  0, or -1 with errno
 * EINVAL when there is no such node, ENOSYS when the kernel does not tell.
 * Takes time in proportion to the memory; others go on meanwhile. */
NH_API int nh_placement_audit(int node, size_t samples, struct nh_placement *out);

/* What nh_migrate_heap did.  The caller sets struct_size. */
struct nh_migration {
    size_t struct_size;
    uint64_t moved_bytes;
    uint64_t failed_bytes; /* still elsewhere: pinned, or no room there */
};

/* Moves the memory of the heap of node `from` to node `to` while the program
 * runs, and places there what the heap gets later: to empty a node, or to
 * follow threads that moved for good.  nh_migrate_heap(n, n, …) brings heap n
 * home.  Addresses do not change; `out` may be NULL.  0, or -1 with errno
 * EINVAL when there is no such node, ENOSYS when the kernel does not move
 * pages.  Takes about a second for some gigabytes. */
NH_API int nh_migrate_heap(int from, int to, struct nh_migration *out);

/* Returns free memory to the operating system, whatever its age: all nodes
 * for node -1.  Returns the bytes released meanwhile.  Takes time in proportion to the
 * free spans; other threads go on allocating meanwhile. */
NH_API size_t nh_scavenge(int node);

/* ---- Finalizers ---------------------------------------------------------- */

/* What is called with an object that is about to be freed. */
typedef void (*nh_finalizer)(void *ptr, void *arg);

/* free(ptr), by whatever thread and function of the family, calls fn(ptr, arg) before
 * the memory is given back: in the freeing thread, before free returns, once, with the
 * object's contents as they are.  `ptr` is the beginning of a live object; each has at
 * most one finalizer.
 *  - fn may do what may be done where the program calls free: take locks that the
 *    freeing thread does not hold, allocate, free other objects (their finalizers run
 *    inside), attach and detach finalizers.  One that it attaches to `ptr` runs too, when
 *    fn has returned.  errno is kept.  It may end neither by an exception nor by longjmp.
 *  - fn may not free `ptr`, which is reported as the double free it is, nor give it to
 *    realloc.
 *  - realloc takes the finalizer along to where the object goes, and does not call it;
 *    but realloc(ptr, 0) frees.
 *  - What is not freed when the process ends has no finalizer called.  The child of a
 *    fork has finalizers of its own, as it has the objects.
 *  - Frees of other objects on the same 8 KiB page take a slower path meanwhile.
 * 0, or -1 with errno EINVAL (no fn, or no object of the family begins at ptr), EEXIST
 * or ENOMEM. */
NH_API int nh_attach_finalizer(void *ptr, nh_finalizer fn, void *arg);
/* 0, or -1 with errno ENOENT when the object has none. */
NH_API int nh_detach_finalizer(void *ptr);

/* ---- Profile ---------------------------------------------------------------
 * A sample of all allocations with their call stacks, as NEARHEAP_PROFILE takes one of a
 * whole process.  Each allocation is sampled with the chance 1 - exp(-bytes / rate) and
 * counted for what it stands for, so totals are unbiased, whatever the sizes.  What was
 * counted is kept: after nh_profile_stop frees of sampled objects are still noticed, and
 * nh_profile_start goes on.
 *
 * Files are in pprof's form (profile.proto), for `pprof`, `go tool pprof`, speedscope and
 * tools/nearheap-profile: allocated and in-use objects and bytes by stack, with labels
 * alloc_node, free_node (the node whose heap it is of, and that of the thread that freed
 * it) and lifetime.  Bytes are those of size classes.
 */

/* Samples at a mean distance of `rate` bytes; 0: of NEARHEAP_PROFILE_RATE.  0, or -1 with
 * errno EINVAL for a rate beyond that option's bounds, ENOSYS where there is nothing to
 * walk stacks with (libgcc_s.so.1). */
NH_API int nh_profile_start(size_t rate);
NH_API void nh_profile_stop(void);
/* Writes what was counted so far to the file `path`, in which %p becomes the process id
 * (NULL: to that of NEARHEAP_PROFILE); others go on.  In the child of a fork a path without
 * %p gets the child's id as a suffix.  May be called in a signal handler.  0, or -1 with the
 * errno of what the file refuses, EBUSY while another thread writes, EINVAL without a
 * path. */
NH_API int nh_profile_write(const char *path);

/* ---- Statistics -----------------------------------------------------------
 * Each counter is declared once, here: X(field, unit, meaning).  Printed lists, JSON and
 * metrics come from these lines.  Bytes and counts are what is there now; events were
 * counted since the process began.
 *
 * Counters of bytes held in caches are read while they are used, so
 * live_bytes and cached_bytes are exact only when other threads are quiet.
 */
#define NH_NODE_STATS(X)                                                                           \
    X(mapped_bytes, "bytes", "address space obtained from the system for objects")                 \
    X(in_use_bytes, "bytes", "pages in spans that hold objects")                                   \
    X(live_bytes, "bytes", "objects the program holds, rounded up to their size class")            \
    X(cached_bytes, "bytes", "free objects in caches and central magazines")                       \
    X(free_bytes, "bytes", "pages in free spans, resident or released")                            \
    X(released_bytes, "bytes", "pages of free spans given back to the system or never touched")    \
    X(metadata_bytes, "bytes", "address space of descriptors, magazines and caches")               \
    X(spans, "count", "spans in use")                                                              \
    X(large_objects, "count", "live objects with a span of their own")                             \
    X(caches, "count", "caches of this node's CPUs, or of threads on it")                          \
    X(refills, "events", "magazines taken from central lists")                                     \
    X(flushes, "events", "magazines given to central lists")                                       \
    X(waits, "events", "refills and flushes that had to wait for another thread's")                \
    X(local_frees, "events", "large objects, and others in full magazines, freed by own threads")  \
    X(remote_frees, "events", "objects that threads of other nodes freed and sent home")           \
    X(lent_bytes, "bytes", "own pages that other nodes' heaps borrowed and still have")            \
    X(borrowed_bytes, "bytes", "pages borrowed from other nodes' heaps")                           \
    X(lends, "events", "runs of pages that other nodes borrowed")                                  \
    X(borrows, "events", "runs of pages borrowed because this node was out of memory")             \
    X(refusals, "events", "allocations refused because no node had memory")                        \
    X(span_allocs, "events", "spans taken from the page heap")                                     \
    X(span_frees, "events", "spans given back to the page heap")                                   \
    X(grows, "events", "times the heap asked the system for address space")                        \
    X(reclaims, "events", "times the heap collected what it was owed before it grew")              \
    X(scavenges, "events", "times the scavenger gave pages back")                                  \
    X(unmaps, "events", "runs of free address space given back")                                   \
    X(refilled_objects, "events", "objects in magazines taken from central lists")                 \
    X(depot_refills, "events", "refills that found a full magazine in the central list")

#define NH_STATS_FIELD_(name, unit, meaning) uint64_t name;

/* One node's counters.  The caller sets struct_size to sizeof the struct it
 * was compiled with; fields that its version lacks are left out. */
struct nh_node_stats {
    size_t struct_size;
    int32_t node; /* as the operating system numbers it; -1: interleaved memory */
    uint32_t reserved;
    NH_NODE_STATS(NH_STATS_FIELD_)
};

/* The whole process: the sums over all nodes. */
struct nh_stats {
    size_t struct_size;
    uint32_t nodes; /* that have a heap already */
    uint32_t reserved;
    NH_NODE_STATS(NH_STATS_FIELD_)
};

/* Fill `out`, for node -1 with what interleaved memory has; 0, or -1 with errno EINVAL for a
 * struct_size smaller than the first version's header or a node without a heap.  Takes each lock of
 * a heap in turn, for a moment. */
NH_API int nh_stats_read(struct nh_stats *out);
NH_API int nh_node_stats_read(int node, struct nh_node_stats *out);

/* Of a pair of nodes: X(field, unit, meaning). */
#define NH_PAIR_STATS(X)                                                                           \
    X(frees, "events",                                                                             \
      "objects of `home` freed by threads of `other`, counted when they come back; "               \
      "for home = other large objects and others in full magazines only")                          \
    X(lent_bytes, "bytes", "pages of `home` that the heap of `other` has")

struct nh_pair_stats {
    size_t struct_size;
    int32_t home, other;
    NH_PAIR_STATS(NH_STATS_FIELD_)
};

/* As above.  Sends home what waits in outboxes, so that it is counted. */
NH_API int nh_pair_stats_read(int home, int other, struct nh_pair_stats *out);

/* "MAJOR.MINOR.PATCH" of the library in use. */
NH_API const char *nh_version(void);

#ifdef __cplusplus
}
#endif

#endif /* NEARHEAP_H */
