# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests by which others judge an allocator, label suites: without the slowest, in a build
# as users have it, and only once: gcc's.  Skipped where apt has no sources of packages.

find_program(PYTHON3 python3)
if(NEARHEAP_SANITIZE OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU" OR NOT PYTHON3)
    return()
endif()

run(public suites 900 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/suites/run --quick
    --lib $<TARGET_FILE:nearheap>)
# It takes the longest of those that leave a processor free: begun early, it is not the last.
set_tests_properties(suites.public PROPERTIES COST 100)
