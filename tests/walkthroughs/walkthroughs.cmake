# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Planted problems, found and mended by what the manual pages say and the tools alone: label
# tools.  Included by tests/CMakeLists.txt.

set(here ${CMAKE_CURRENT_LIST_DIR})
if(NEARHEAP_SANITIZE OR NOT PYTHON3 OR NOT ADDR2LINE)
    return()
endif()
foreach(problem crossnode leak)
    run(walkthrough_${problem} tools 120 COMMAND ${here}/${problem}.sh ${PROJECT_BINARY_DIR})
endforeach()
