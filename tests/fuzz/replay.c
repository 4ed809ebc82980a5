/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * replay.c - runs a fuzz target on files, where there is no libFuzzer.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#define INPUT_MOST 65536

static int play_file(const char *path)
{
    static uint8_t data[INPUT_MOST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    fprintf(stderr, "replay: %s, %zu bytes\n", path, size);
    /* As long as it is, so that a sanitizer sees what is read behind it. */
    uint8_t *exact = malloc(size);
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    int played = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            played += play_file(argv[i]);
            continue;
        }
        for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            played += play_file(path);
        }
        closedir(folder);
    }
    printf("replay: %d inputs, nothing wrong\n", played);
    return played > 0 ? 0 : 2;
}
