# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What operators run, as programs: label tools.  Not under sanitizers, into whose programs
# nothing can be preloaded.

if(NEARHEAP_SANITIZE)
    return()
endif()
run(run tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/run_test.sh ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:options_table>)
