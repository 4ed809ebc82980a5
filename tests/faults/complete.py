#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether faults are injected into every call that can fail: what the engine's objects need
from outside is in calls.def, or below, where it is told why it need not be.

    complete.py CALLS.DEF LIBRARY.a"""

import re
import subprocess
import sys

CANNOT_FAIL = {
    "memory and strings": "bcmp memchr memcmp memcpy memmove memset strchr strcmp strcspn strlen strnlen "
                          "strncasecmp strncmp strrchr strspn strstr strtol strtoul strtoull",
    "glibc's lock of its streams": "_IO_list_lock _IO_list_resetlock _IO_list_unlock",
    "the process itself": "abort getpid getppid geteuid getresuid gettid raise sched_yield __errno_location dlerror",
    "of what is the caller's own": "sigaddset sigdelset sigemptyset sigfillset sigismember pthread_attr_destroy",
    "to a stream of the caller's, who looks at it": "fprintf fwrite",
    "data": "environ etext __libc_single_threaded _GLOBAL_OFFSET_TABLE_ __ehdr_start __libc_stack_end __rseq_offset "
            "__rseq_size",
    "the compiler's": "__popcountdi2 __sched_cpucount __tls_get_addr _Unwind_Resume "
                      "__stack_chk_fail __gcc_personality_v0",
    "of the C++ runtime, where there is one": "_ZSt15get_new_handlerv _ZSt17__throw_bad_allocv "
        "__cxa_allocate_exception __cxa_throw _ZTISt9bad_alloc _ZTVSt9bad_alloc "
        "_ZNSt9bad_allocD1Ev",
    "which leaves what others use where it is": "dlclose",
}


def symbols(library, what):
    listed = subprocess.run(["nm", what, library], check=True, text=True, stdout=subprocess.PIPE)
    return {line.split()[-1] for line in listed.stdout.splitlines() if len(line.split()) > 1}


def main():
    table, library = sys.argv[1:]
    with open(table, encoding="utf-8") as file:
        by_name = set(re.findall(r"^CALL\((\w+), LIBC,", file.read(), re.MULTILINE)) | {"syscall"}
    need = symbols(library, "--undefined-only") - symbols(library, "--defined-only")
    known = by_name | {name for names in CANNOT_FAIL.values() for name in names.split()}
    missing = {name for name in need if not name.startswith(("__asan", "__tsan", "__ubsan"))}
    missing -= known
    unused = by_name - need
    for name in sorted(missing):
        print(f"{name} is called, and not in calls.def")
    for name in sorted(unused):
        print(f"{name} is in calls.def, and not called")
    print(f"{len(need)} names from outside, {len(need & by_name)} of which are made to fail")
    return 1 if missing or unused else 0


if __name__ == "__main__":
    sys.exit(main())
