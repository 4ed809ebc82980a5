/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * resident.c [OBJECTS] - prints its resident memory in KiB, and allocates nothing; or so many
 * objects of each of some sizes, which it writes to and keeps.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZES_MOST  2000
#define SIZES_APART 100

static int allocate(int objects)
{
    for (size_t size = SIZES_APART; size <= SIZES_MOST; size += SIZES_APART)
        for (int i = 0; i < objects; i++) {
            char *object = malloc(size);
            if (object == NULL)
                return 1;
            memset(object, 1, size);
        }
    return 0;
}

int main(int argc, char **argv)
{
    static char text[8192];
    if (argc == 2 && allocate(atoi(argv[1])) != 0)
        return 1;
    int fd = open("/proc/self/status", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return 1;
    const char *at = strstr(text, "VmRSS:");
    if (at == NULL)
        return 1;
    at += strcspn(at, "0123456789");
    size_t digits = strspn(at, "0123456789");
    return write(STDOUT_FILENO, at, digits) == (ssize_t)digits ? 0 : 1;
}
