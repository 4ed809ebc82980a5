# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs on nearheap under valgrind's memcheck: label valgrind.  Included by
# tests/CMakeLists.txt.

# A sanitizer and valgrind are two of a kind.
if(NEARHEAP_SANITIZE)
    return()
endif()

set(planted_test ${CMAKE_CURRENT_LIST_DIR}/planted_test.py)
foreach(kind "" DIRECT GLIBC)
    string(TOLOWER planted_${kind} name)
    string(REGEX REPLACE "_$" "" name ${name})
    program(${name} ${kind} SOURCES valgrind/planted.c)
    # Mistakes as they are written, by the lines and functions that they are in; valgrind 3.19
    # does not read all that clang tells by default.
    target_compile_options(${name} PRIVATE -O0 -gdwarf-4)
endforeach()
run(linked valgrind 60 COMMAND ${planted_test} replaces $<TARGET_FILE:planted>)
run(preloaded valgrind 60 COMMAND ${planted_test} replaces $<TARGET_FILE:planted_glibc>
    $<TARGET_FILE:nearheap>)
# Objects are memcheck's, and the first call of nearheap is to free one.
run(early_preloaded valgrind 60 COMMAND sh -c
    "command -v valgrind && exec valgrind -q --error-exitcode=1 true || exit 77"
    ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:nearheap> $<TARGET_FILE:early_late_library>")
# What takes memcheck's header at build.
if(NEARHEAP_HAVE_MEMCHECK)
    run(linked_own valgrind 60 COMMAND ${planted_test} watches $<TARGET_FILE:planted>)
    run(preloaded_own valgrind 60 COMMAND ${planted_test} watches $<TARGET_FILE:planted_glibc>
        $<TARGET_FILE:nearheap>)
    run(direct valgrind 60 COMMAND ${planted_test} watches $<TARGET_FILE:planted_direct>)
endif()
