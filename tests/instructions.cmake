# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The fast path's instruction count as a test: see instructions.sh.  Included by
# tests/CMakeLists.txt.

# Checks and sanitizers add instructions of their own; other machines than
# x86-64 have other ones.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND CMAKE_BUILD_TYPE STREQUAL "Release"
        AND NOT NEARHEAP_SANITIZE AND NOT NEARHEAP_DEBUG)
    add_executable(instructions ${CMAKE_CURRENT_LIST_DIR}/instructions.c)
    target_link_libraries(instructions PRIVATE nearheap_warnings)
    # Plain calls through the PLT, none dropped or replaced.
    target_compile_options(instructions PRIVATE -O2 -fno-builtin -fno-lto -fplt)
    # The record is gcc's; another compiler need only keep the promise.
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
        set(instructions_mode --hard)
    endif()
    add_test(NAME instructions
        COMMAND ${CMAKE_CURRENT_LIST_DIR}/instructions.sh ${instructions_mode}
            --lib $<TARGET_FILE:nearheap> --program $<TARGET_FILE:instructions>)
    add_test(NAME instructions_profiled
        COMMAND ${CMAKE_CURRENT_LIST_DIR}/instructions.sh --profiled
            --lib $<TARGET_FILE:nearheap> --program $<TARGET_FILE:instructions>)
    set_tests_properties(instructions instructions_profiled
        PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
