/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * posix_library.c - tests of what functions of the library allocate and programs free, a
 * test for each rule; rules.def tells what they say.
 */
#include "rules.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

static int is_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") == 0;
}

void posix_free_takes_what_the_library_allocates(void **state)
{
    (void)state;
    char *copy = strdup("a string"), *part = strndup("a string", 3);
    assert_string_equal(copy, "a string");
    assert_string_equal(part, "a s");
    copy = realloc(copy, 5000);
    assert_string_equal(copy, "a string");
    free(part);
    wchar_t *wide = wcsdup(L"wide");
    assert_true(wcscmp(wide, L"wide") == 0);
    free(wide);

    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    for (int i = 0; i < 3000; i++)
        assert_true(fprintf(out, "line %d\n", i) > 0);
    assert_int_equal(fclose(out), 0);
    FILE *in = fmemopen(text, length, "r");
    assert_non_null(in);
    char *line = NULL, *word = malloc(1); /* getdelim makes it larger */
    size_t room = 0, word_room = 1;
    assert_true(getline(&line, &room, in) > 0);
    assert_string_equal(line, "line 0\n");
    assert_true(getdelim(&word, &word_room, ' ', in) > 0);
    assert_string_equal(word, "line ");
    fclose(in);
    free(line);
    free(word);
    free(text);

    struct dirent **list;
    int entries = scandir("/", &list, is_dot, alphasort);
    assert_int_equal(entries, 1);
    free(list[0]);
    free(list);
    char *path = realpath("/", NULL);
    assert_string_equal(path, "/");
    free(path);
    free(copy);
}

/* Freed as any object is, and resized as any is, with the text in it. */
static void check_text(char *text, const char *expected)
{
    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_true(malloc_usable_size(text) > strlen(expected));
    text = realloc(text, 100000);
    assert_non_null(text);
    assert_string_equal(text, expected);
    text = realloc(text, strlen(expected) + 1);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void check_wide(wchar_t *text, const wchar_t *expected)
{
    assert_non_null(text);
    assert_true(wcscmp(text, expected) == 0);
    text = realloc(text, 100000);
    assert_non_null(text);
    assert_true(wcscmp(text, expected) == 0);
    free(text);
}

void posix_free_takes_the_buffer_of_open_wmemstream(void **state)
{
    (void)state;
    wchar_t *text = NULL, all[3000];
    size_t length = 0;
    FILE *out = open_wmemstream(&text, &length);
    assert_non_null(out);
    for (size_t i = 0; i < 2999; i++) { /* it grows on the way */
        all[i] = (wchar_t)(L'a' + i % 26);
        assert_true(fputwc(all[i], out) != WEOF);
    }
    all[2999] = L'\0';
    assert_int_equal(fclose(out), 0);
    assert_int_equal(length, 2999);
    check_wide(text, all);
}

void posix_free_takes_what_scanf_allocates(void **state)
{
    (void)state;
    char *word, *letters, *bytes;
    wchar_t *wide;
    assert_int_equal(sscanf("a_word abcabc! 12345", "%ms %m[a-c]! %3mc", &word, &letters, &bytes),
                     3);
    assert_memory_equal(bytes, "123", 3); /* of which %c makes no string */
    free(bytes);
    check_text(word, "a_word");
    check_text(letters, "abcabc");
    assert_int_equal(sscanf("wide", "%mls", &wide), 1);
    check_wide(wide, L"wide");
    assert_int_equal(swscanf(L"bytes wide", L"%ms %mls", &word, &wide), 2);
    check_text(word, "bytes");
    check_wide(wide, L"wide");
    /* Longer than what it begins with. */
    char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(sscanf(text, "%ms", &word), 1);
    check_text(word, text);
}

static int print_by_list(char **text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vasprintf(text, format, list);
    va_end(list);
    return length;
}

void posix_free_takes_what_asprintf_allocates(void **state)
{
    (void)state;
    char *text, expected[3001];
    assert_int_equal(asprintf(&text, "%d and %s", 12, "more"), 11);
    check_text(text, "12 and more");
    assert_int_equal(print_by_list(&text, "%03000d", 0), 3000);
    memset(expected, '0', 3000);
    expected[3000] = '\0';
    check_text(text, expected);
}

void posix_free_takes_the_name_of_tempnam(void **state)
{
    (void)state;
    /* The linker warns of its name. */
    union {
        void *object;
        char *(*function)(const char *folder, const char *prefix);
    } named = {.object = dlsym(RTLD_DEFAULT, "tempnam")};
    assert_non_null(named.object);
    char *name = named.function(NULL, "rules");
    assert_non_null(name);
    char *copy = strdup(name);
    check_text(name, copy);
    free(copy);
}
