/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.pml - how a span is published, looked up and retired (src/span.h,
 * src/span_table.h), small enough for Spin to try every interleaving.
 *
 * Two addresses, one leaf that is now the one's and now the other's, with one entry, and
 * two descriptors that live again and again.  One writer: whoever owns a span has its
 * heap's lock or has it alone.  Readers look at any address at any time; one of them holds
 * an object from the moment it is handed over until it gives it back.
 *
 * Checked: a reader never follows a pointer to what is unmapped; the fields of an answer
 * belong together, to the address that was asked about; who holds an object always gets
 * an answer, with the right fields.
 *
 * Spin's memory is sequentially consistent: that stores and loads happen in this order is
 * what the release stores and acquire loads of span.h are for.
 *
 * BREAK_ORDER, BREAK_RETIRE and BREAK_CHECK leave out one thing each; with any of them Spin
 * must find an error (run.sh).
 */
#define ADDRESSES   2
#define DESCRIPTORS 2
#define LIVES       2
#define READERS     1
#define NONE        255

byte table[ADDRESSES] = NONE; /* of each address the leaf: 0 or NONE */
bool mapped = true;        /* the leaf */
byte entry = NONE;         /* in the leaf: a descriptor */
byte version[DESCRIPTORS]; /* odd while it changes */
byte where[DESCRIPTORS];   /* the address it describes */
byte life[DESCRIPTORS];
byte stamp[DESCRIPTORS]; /* follows from the two above */
bool live[DESCRIPTORS];
byte held = NONE;      /* the address of an object that a reader holds */
byte held_life = NONE; /* and what the answer must be */

#define STAMP(address, number) ((number) * ADDRESSES + (address))

inline change(d)
{
#ifndef BREAK_ORDER
    version[d]++;
#else
    skip;
#endif
}

inline settle(d)
{
#ifndef BREAK_ORDER
    version[d]++;
#else
    version[d] = version[d] + 2;
#endif
}

inline describe(d, a, number)
{
    change(d);
    where[d] = a;
    life[d] = number;
    stamp[d] = STAMP(a, number);
    live[d] = true;
    settle(d);
}

active proctype writer()
{
    byte number = 0, a, d;
    do
    :: number == LIVES -> break
    :: else ->
        select(a : 0 .. ADDRESSES - 1);
        select(d : 0 .. DESCRIPTORS - 1);
        /* The page becomes ours: a leaf, the spare one. */
        mapped = true;
        table[a] = 0;
        /* The engine does these in either order. */
        if
        :: entry = d; describe(d, a, number)
        :: describe(d, a, number); entry = d
        fi;
        /* malloc returns; the object is passed to a reader, or not. */
        if
        :: held_life = number; held = a; (held == NONE)
        :: skip
        fi;
        /* It is freed; the span is, and its memory is unmapped. */
        change(d);
        live[d] = false;
        settle(d);
        entry = NONE;
        table[a] = NONE;
#ifdef BREAK_RETIRE
        mapped = false;
#endif
        number++
    od
}

/* What a reader finds at address a: found, and then the life that it read. */
inline look_up(a)
{
    found = false;
    unknown = false;
    d = NONE;
    leaf = table[a];
    if
    :: leaf != NONE ->
        assert(mapped);
        d = entry
    :: else -> skip
    fi;
    if
    :: d != NONE ->
        before = version[d];
        base = where[d];
        number = life[d];
        mark = stamp[d];
        alive = live[d];
        if
        :: before % 2 != 0 || version[d] != before -> unknown = true
#ifdef BREAK_CHECK
        :: else -> found = alive
#else
        :: else -> found = (alive && base == a)
#endif
        fi
    :: else -> skip
    fi;
    if
    :: found ->
        assert(base == a);
        assert(mark == STAMP(base, number))
    :: else -> skip
    fi
}

active [READERS] proctype reader()
{
    byte a, d, leaf, before, base, number, mark;
    bool found, unknown, alive;
    select(a : 0 .. ADDRESSES - 1);
    look_up(a)
}

active proctype holder()
{
    byte a, d, leaf, before, base, number, mark;
    bool found, unknown, alive;
end:
    do
    :: held != NONE ->
        a = held;
        look_up(a);
        assert(found && !unknown && number == held_life);
        held = NONE
    od
}
