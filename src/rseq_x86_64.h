/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rseq_x86_64.h - the sequences of rseq.h, which alone includes this, for x86-64.
 */
#ifndef NH_RSEQ_X86_64_H
#define NH_RSEQ_X86_64_H

#include "cpu_table.h"
#include "row.h"

/* What precedes an abort handler, so that nobody can make the kernel jump to
 * another place; glibc registers with it. */
#define RSEQ_SIGNATURE "0x53053053"

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
    ".pushsection __rseq_failure, \"ax\"\n\t"                                                      \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long " RSEQ_SIGNATURE "\n"                                                                   \
    "4:\tjmp 0b\n\t"                                                                               \
    ".popsection\n\t"                                                                              \
    "leaq 3b(%%rip), %[at]\n\t"                                                                    \
    "movq %[at], %%fs:8(%[area])\n"                                                                \
    "1:\tmovl %%fs:(%[area]), %k[cpu]\n\t"                                                         \
    "movq %[table], %[at]\n\t"
#define RSEQ_END "2:\n\t"

NH_INLINE bool rseq_pop(size_t cls, void **out)
{
    void *at, *top, *object;
    bool empty;
    __asm__ volatile(RSEQ_BEGIN "movq (%[at],%[cpu],8), %[at]\n\t"
                                "movq (%[at],%[cls],8), %[cpu]\n\t"
                                "movq (%[cpu]), %[object]\n\t"
                                "testq %[object], %[object]\n\t"
                                "jz 2f\n\t"
                                "addq $8, %[cpu]\n\t" /* never 0: clears ZF */
                                "movq %[cpu], (%[at],%[cls],8)\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), [object] "=&a"(object), "=@ccz"(empty)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [cls] "r"(cls)
                     : "memory");
    *out = object;
    return !empty;
}

NH_INLINE bool rseq_pop_counted(size_t cls, void **out, struct row **row)
{
    void *at, *top, *object;
    bool stop;
    __asm__ volatile(RSEQ_BEGIN "movq (%[at],%[cpu],8), %[at]\n\t"
                                "movq (%[at],%[cls],8), %[cpu]\n\t"
                                "movq (%[cpu]), %[object]\n\t"
                                "cmpq $1, %[object]\n\t"
                                "decq %c[left](%[at])\n\t" /* leaves CF */
                                "jbe 2f\n\t"
                                "addq $8, %[cpu]\n\t" /* never 0: clears ZF and CF */
                                "movq %[cpu], (%[at],%[cls],8)\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), [object] "=&a"(object), "=@ccbe"(stop)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [cls] "r"(cls),
                       [left] "i"(offsetof(struct row, sampling.mallocs_left))
                     : "memory");
    *out = object;
    *row = at;
    return !stop;
}

NH_INLINE bool rseq_push(size_t home, void *object)
{
    void *at, *top;
    bool not_pushed;
    __asm__ volatile(RSEQ_BEGIN "movq %c[rows](%[at],%[cpu],8), %[at]\n\t"
                                "movq (%[at],%[home]), %[cpu]\n\t"
                                "testl %[mask], %k[cpu]\n\t"
                                "jz 2f\n\t"
                                "cmpq %[object], (%[cpu])\n\t"
                                "je 2f\n\t"
                                "movq %[object], -8(%[cpu])\n\t"
                                "subq $8, %[cpu]\n\t" /* never 0: clears ZF */
                                "movq %[cpu], (%[at],%[home])\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), "=@ccz"(not_pushed)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [home] "r"(home),
                       [object] "r"(object), [mask] "i"(NH_MAGAZINE_BYTES - 1),
                       [rows] "i"(offsetof(struct cpu_table, rows))
                     : "memory");
    return !not_pushed;
}

NH_INLINE void **rseq_swap(struct row *row, size_t cls, void **before, void **after)
{
    void *at;
    void **was;
    __asm__ volatile(RSEQ_BEGIN "cmpq %[row], (%[at],%[cpu],8)\n\t"
                                "movl $0, %k[cpu]\n\t"
                                "jne 2f\n\t"
                                "movq (%[row],%[cls],8), %[at]\n\t"
                                "testq %[before], %[before]\n\t"
                                "jz 5f\n\t"
                                "cmpq %[before], %[at]\n\t"
                                "jne 2f\n"
                                "5:\tmovq %[at], %[cpu]\n\t"
                                "movq %[after], (%[row],%[cls],8)\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(was)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [row] "r"(row),
                       [cls] "r"(cls), [before] "r"(before), [after] "r"(after)
                     : "memory", "cc");
    return was;
}

#endif
