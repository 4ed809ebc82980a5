# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests on arm64, which tools/numa-vm emulates: label arm.  In one build of those
# that tools/check makes, and where arm64 is not the machine's own.

if(NEARHEAP_SANITIZE OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU"
        OR CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    return()
endif()

run(guest arm 900 COMMAND ${CMAKE_CURRENT_LIST_DIR}/arm.sh ${PROJECT_BINARY_DIR}/arm64
    --nodes 2 --cpus 1 --mem 400)
