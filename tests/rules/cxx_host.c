/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx_host.c LIBRARY - a C program that loads a C++ library (cxx_plugin.cc), in which there is
 * no memory: as a database does whose extensions are written in C++.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "cxx_host: %s\n", argc == 2 ? dlerror() : "usage: cxx_host LIBRARY");
        return 2;
    }
    union {
        void *object;
        int (*function)(void);
    } plugin = {.object = dlsym(library, "cxx_plugin")};
    int wrong = plugin.object != NULL ? plugin.function() : -1;
    if (wrong != 0)
        fprintf(stderr, "cxx_host: the library says %d\n", wrong);
    return wrong != 0;
}
