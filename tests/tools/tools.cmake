# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What operators run, as programs: label tools.  Not under sanitizers, into whose programs
# nothing can be preloaded.

find_program(PYTHON3 python3)
if(NEARHEAP_SANITIZE OR NOT PYTHON3)
    return()
endif()
run(run tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/run_test.sh ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:options_table>)
run(topo tools 30 COMMAND ${CMAKE_CURRENT_LIST_DIR}/topo_test.py $<TARGET_FILE:nearheap_topo>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    run(topo_guest numa 400 COMMAND ${CMAKE_CURRENT_LIST_DIR}/topo_test.py
        $<TARGET_FILE:nearheap_topo> ${PROJECT_SOURCE_DIR}/tools/numa-vm)
endif()
get_property(operator_tools GLOBAL PROPERTY NEARHEAP_OPERATOR_TOOLS)
set(tool_files)
foreach(name ${operator_tools})
    string(REPLACE - _ target ${name})
    if(TARGET ${target})
        list(APPEND tool_files $<TARGET_FILE:${target}>)
    else()
        list(APPEND tool_files ${PROJECT_SOURCE_DIR}/tools/${name})
    endif()
endforeach()
if(TARGET man_pages)
    run(pages tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/pages_test.py
        ${PROJECT_BINARY_DIR}/tools/man $<TARGET_FILE:options_table> ${tool_files})
endif()
run(docs tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/docs_test.py $<TARGET_FILE:options_table>
    $<TARGET_FILE:nearheap>)
