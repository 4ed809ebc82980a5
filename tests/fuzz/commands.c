/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * commands.c - any lines as commands that come over the control socket, with a file, or
 * without for lines that begin with a dash.  Each is answered by a text of the form that
 * control_path.h describes, and the program's objects stay as they are.
 */
#include "fuzz.h"
#include "live.h"

#include "../stamps.h"
#include "control.h"
#include "control_path.h"
#include "nearheap.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OBJECTS      32
#define LINES_MOST   16
#define WITHOUT_FILE '-'

static unsigned char *objects[OBJECTS];
static size_t sizes[OBJECTS];

static void make_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        sizes[i] = (size_t)24 << i % 12;
        objects[i] = nh_malloc(sizes[i]);
        FUZZ_CHECK(objects[i] != NULL);
        stamps_write(objects[i], sizes[i], i);
    }
}

static void check_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        FUZZ_CHECK(stamps_check(objects[i], sizes[i], objects[i], i) == STAMPS_GOOD);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void check_answer(const struct text *answer)
{
    FUZZ_CHECK(answer->used < CONTROL_ANSWER_ROOM && strlen(answer->at) == answer->used);
    FUZZ_CHECK(begins(answer->at, CONTROL_OK "\n") || begins(answer->at, CONTROL_ERROR));
    FUZZ_CHECK(answer->at[answer->used - 1] == '\n');
    /* An error is one line. */
    if (begins(answer->at, CONTROL_ERROR))
        FUZZ_CHECK(strchr(answer->at, '\n') == answer->at + answer->used - 1);
}

/* As the socket takes it: without its end, and without zeros. */
static void run_line(const char *from, size_t length, int file)
{
    char buffer[CONTROL_ANSWER_ROOM] = "";
    struct text answer = {.at = buffer, .room = sizeof(buffer)};
    bool with_file = length == 0 || *from != WITHOUT_FILE;
    char *line = fuzz_exact_text((const uint8_t *)from + !with_file, length - !with_file,
                                 CONTROL_COMMAND_ROOM - 1);
    FUZZ_CHECK(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
    control_command(line, with_file ? file : -1, &answer);
    free(line);
    check_answer(&answer);
    check_objects();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    if (file < 0) {
        file = memfd_create("report", MFD_CLOEXEC);
        FUZZ_CHECK(file >= 0);
        make_objects();
    }
    const char *at = (const char *)data, *end = at + size;
    for (size_t i = 0; at < end && i < LINES_MOST; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        run_line(at, (size_t)(stop - at), file);
        at = stop + (stop < end);
    }
    nh_profile_stop();
    live_restore();
    nh_free(nh_malloc(1));
    return 0;
}
