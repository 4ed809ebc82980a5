/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * frame_rule.h - the way from a stack frame to its caller's on x86-64, read out of unwind
 * tables.
 *
 * Tables hold, for each instruction, programs that compute the canonical frame address
 * (CFA: the stack pointer before the call) and where registers are saved (DWARF 5, 6.4;
 * System V ABI for AMD64, 3.7 and 4.2.4).  To run them takes 2000 instructions a frame.
 * Nearly all come to one of two rules: the CFA is a constant above the stack pointer, or
 * above the frame pointer rbp, which is saved at a constant place if at all; the return
 * address lies below the CFA.  What does not is told as FRAME_ASK.  (libunwind's "fast
 * trace" has the same idea.)
 *
 * Pure; async-signal-safe.
 */
#ifndef NH_FRAME_RULE_H
#define NH_FRAME_RULE_H

#include "base.h"

enum frame_kind {
    FRAME_UNKNOWN,
    FRAME_ASK,   /* a rule of another kind */
    FRAME_LAST,  /* nobody called the function */
    FRAME_BY_SP, /* CFA = stack pointer + cfa */
    FRAME_BY_FP, /* CFA = rbp + cfa */
};

struct frame_rule {
    enum frame_kind kind;
    /* Of the last two kinds, in words: */
    uint16_t cfa;
    uint16_t fp; /* the caller's rbp is saved so far below the CFA; 0: rbp has it */
};
#define FRAME_WORD sizeof(uintptr_t)

/* Reads the rule for the instruction at `pc` of a function that begins at `begin` out of
 * its entry (FDE) in the section .eh_frame.  The entry is taken as well-formed, as the loader's
 * own is; what is not known here is FRAME_ASK. */
struct frame_rule frame_rule_read(const void *fde, uintptr_t begin, uintptr_t pc);

#endif
