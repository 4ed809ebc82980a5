/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fuzz.h - what a fuzz target is: one function that libFuzzer, or replay.c, calls with each
 * input, and that aborts when something is wrong.
 */
#ifndef NH_TEST_FUZZ_H
#define NH_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a text of at most `most` characters; `text` has room for one more. */
static inline void fuzz_text(const uint8_t *data, size_t size, char *text, size_t most)
{
    if (size > most)
        size = most;
    memcpy(text, data, size);
    text[size] = '\0';
}

#define FUZZ_CHECK(is)                                                                             \
    do {                                                                                           \
        if (!(is)) {                                                                               \
            fprintf(stderr, "fuzz: FAILED at %s:%d: not (%s)\n", __FILE__, __LINE__, #is);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The same text in a place that is just long enough, so that the sanitizer sees what is read
 * behind it; to be freed. */
static inline char *fuzz_exact_text(const uint8_t *data, size_t size, size_t most)
{
    if (size > most)
        size = most;
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    if (end != NULL)
        size = (size_t)(end - data);
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    fuzz_text(data, size, text, size);
    return text;
}

/* What is printed for a person has no control characters but the ends of lines. */
static inline void fuzz_check_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        FUZZ_CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
}

#endif
