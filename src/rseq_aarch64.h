/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rseq_aarch64.h - the sequences of rseq.h, which alone includes this, for arm64.
 *
 * An abort handler lies at the end of the code around it (subsection 1), not in a
 * section of its own: a branch reaches 128 MiB, and what a linker puts in its way to
 * go further would change a register.  The kernel enters the handler as it returns
 * to the program, without an indirect branch: no landing pad (BTI) is needed, and
 * nothing is signed (PAC), since nothing is called.
 */
#ifndef NH_RSEQ_AARCH64_H
#define NH_RSEQ_AARCH64_H

#include "cpu_table.h"
#include "row.h"

/* What precedes an abort handler, so that nobody can make the kernel jump to
 * another place; glibc registers with it.  An instruction (brk), so that it has the
 * order of bytes that instructions have. */
#define RSEQ_SIGNATURE "0xd428bc00"

/* The sequence between labels 1 and 2; interrupted it goes on at 0.  Sets the area's
 * rseq_cs (offset 8), then reads cpu_id_start (offset 0) into %[cpu] and the table
 * into %[at]. */
#define RSEQ_BEGIN                                                                                 \
    "0:\n\t"                                                                                       \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n"                                                                                 \
    "3:\t.long 0, 0\n\t"                                                                           \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    ".subsection 1\n\t"                                                                            \
    ".inst " RSEQ_SIGNATURE "\n"                                                                   \
    "4:\tb 0b\n\t"                                                                                 \
    ".previous\n\t"                                                                                \
    "adrp %[at], 3b\n\t"                                                                           \
    "add %[at], %[at], :lo12:3b\n\t"                                                               \
    "str %[at], [%[area], 8]\n"                                                                    \
    "1:\tldr %w[cpu], [%[area]]\n\t"                                                               \
    "ldr %[at], %[table]\n\t"
#define RSEQ_END "2:\n\t"

/* The thread's area; the thread, and so the area, stays the same in a restart. */
NH_INLINE char *rseq_area(void)
{
    return (char *)__builtin_thread_pointer() + cpu_access.area;
}

NH_INLINE bool rseq_pop(size_t cls, void **out)
{
    void *at, *top, *object;
    __asm__ volatile(RSEQ_BEGIN "ldr %[at], [%[at], %[cpu], lsl 3]\n\t"
                                "ldr %[cpu], [%[at], %[cls], lsl 3]\n\t"
                                "ldr %[object], [%[cpu]], 8\n\t"
                                "cbz %[object], 2f\n\t"
                                "str %[cpu], [%[at], %[cls], lsl 3]\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), [object] "=&r"(object)
                     : [area] "r"(rseq_area()), [table] "m"(cpu_access.table), [cls] "r"(cls)
                     : "memory");
    *out = object;
    return object != NULL;
}

NH_INLINE bool rseq_pop_counted(size_t cls, void **out, struct row **row)
{
    void *at, *top, *object, *left;
    __asm__ volatile(RSEQ_BEGIN "ldr %[at], [%[at], %[cpu], lsl 3]\n\t"
                                "ldr %[left], [%[at], %[offset]]\n\t"
                                "ldr %[cpu], [%[at], %[cls], lsl 3]\n\t"
                                "ldr %[object], [%[cpu]], 8\n\t"
                                "sub %[left], %[left], 1\n\t"
                                "str %[left], [%[at], %[offset]]\n\t"
                                "cbz %[left], 2f\n\t"
                                "cbz %[object], 2f\n\t"
                                "str %[cpu], [%[at], %[cls], lsl 3]\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), [object] "=&r"(object), [left] "=&r"(left)
                     : [area] "r"(rseq_area()), [table] "m"(cpu_access.table), [cls] "r"(cls),
                       [offset] "i"(offsetof(struct row, sampling.mallocs_left))
                     : "memory");
    *out = object;
    *row = at;
    return left != NULL && object != NULL;
}

NH_INLINE bool rseq_push(size_t home, void *object)
{
    void *at, *top;
    size_t differs; /* what a reason not to push makes 0: no flag, which clang 14 cannot return */
    __asm__ volatile(
        RSEQ_BEGIN "add %[at], %[at], %[rows]\n\t"
                   "ldr %[at], [%[at], %[cpu], lsl 3]\n\t"
                   "ldr %[cpu], [%[at], %w[home], uxtw]\n\t"
                   "and %[differs], %[cpu], %[mask]\n\t"
                   "cbz %[differs], 2f\n\t"
                   "ldr %[differs], [%[cpu]]\n\t"
                   "eor %[differs], %[differs], %[object]\n\t"
                   "cbz %[differs], 2f\n\t"
                   "str %[object], [%[cpu], -8]!\n\t"
                   "str %[cpu], [%[at], %w[home], uxtw]\n" RSEQ_END
        : [at] "=&r"(at), [cpu] "=&r"(top), [differs] "=&r"(differs)
        : [area] "r"(rseq_area()), [table] "m"(cpu_access.table), [home] "r"((uint32_t)home),
          [object] "r"(object), [mask] "i"(NH_MAGAZINE_BYTES - 1),
          [rows] "i"(offsetof(struct cpu_table, rows))
        : "memory");
    return differs != 0;
}

NH_INLINE void **rseq_swap(struct row *row, size_t cls, void **before, void **after)
{
    void *at;
    void **was;
    __asm__ volatile(RSEQ_BEGIN "ldr %[at], [%[at], %[cpu], lsl 3]\n\t"
                                "mov %[cpu], 0\n\t"
                                "cmp %[at], %[row]\n\t"
                                "b.ne 2f\n\t"
                                "ldr %[at], [%[row], %[cls], lsl 3]\n\t"
                                "cbz %[before], 5f\n\t"
                                "cmp %[at], %[before]\n\t"
                                "b.ne 2f\n"
                                "5:\tmov %[cpu], %[at]\n\t"
                                "str %[after], [%[row], %[cls], lsl 3]\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(was)
                     : [area] "r"(rseq_area()), [table] "m"(cpu_access.table), [row] "r"(row),
                       [cls] "r"(cls), [before] "r"(before), [after] "r"(after)
                     : "memory", "cc");
    return was;
}

#endif
