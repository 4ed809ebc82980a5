# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What operators run: its parts, label unit; as programs, label tools.  Most of these not under
# sanitizers, into whose programs nothing can be preloaded.

set(tools ${PROJECT_SOURCE_DIR}/tools)
add_executable(unit_top ${CMAKE_CURRENT_LIST_DIR}/unit_top.c ${tools}/top_export.c
    ${tools}/top_page.c ${tools}/top_residence.c ${tools}/top_spark.c ${tools}/top_text.c
    ${tools}/top_values.c)
target_compile_definitions(unit_top PRIVATE _GNU_SOURCE)
target_compile_options(unit_top PRIVATE
    "SHELL:-iquote ${PROJECT_SOURCE_DIR}" "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
target_link_libraries(unit_top PRIVATE nearheap_warnings nearheap_inside PkgConfig::CMOCKA)
run(top unit 120 COMMAND unit_top)

find_program(PYTHON3 python3)
if(NOT PYTHON3)
    return()
endif()
# What a process is asked while it runs; by its nh_ names, also under sanitizers (of which
# ThreadSanitizer would end the children of a process with threads, which are part of it).
program(ctl_program_direct DIRECT SOURCES tools/ctl_program.c)
target_include_directories(ctl_program_direct PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
run(ctl_direct tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/ctl_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:ctl_program_direct> ENVIRONMENT "TSAN_OPTIONS=die_after_fork=0")
# Others as programs not under sanitizers, into which nothing can be preloaded.
if(NEARHEAP_SANITIZE)
    return()
endif()
run(run tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/run_test.sh ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:options_table>)
run(output tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/output_test.sh ${PROJECT_BINARY_DIR}/tools
    ${tools} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/dump/one)
run(cache tools 30 COMMAND ${CMAKE_CURRENT_LIST_DIR}/cache_test.sh ${tools})
run(scripts tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/scripts_test.sh ${tools})
run(check tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/check_test.sh ${tools})
run(record_traces tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/record_traces_test.sh ${tools}
    ${PROJECT_BINARY_DIR})
run(topo tools 30 COMMAND ${CMAKE_CURRENT_LIST_DIR}/topo_test.py $<TARGET_FILE:nearheap_topo>)
program(top_program GLIBC SOURCES tools/top_program.c)
run(top tools 240 COMMAND ${CMAKE_CURRENT_LIST_DIR}/top_test.py $<TARGET_FILE:nearheap_top>
    $<TARGET_FILE:nearheap> $<TARGET_FILE:top_program> ${tools}/grafana.json)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    run(topo_guest numa 400 COMMAND ${CMAKE_CURRENT_LIST_DIR}/topo_test.py
        $<TARGET_FILE:nearheap_topo> ${tools}/numa-vm --no-install)
    run(top_guest numa 400 COMMAND ${CMAKE_CURRENT_LIST_DIR}/top_test.py $<TARGET_FILE:nearheap_top>
        $<TARGET_FILE:nearheap> $<TARGET_FILE:top_program> ${tools}/grafana.json
        ${tools}/numa-vm --no-install)
endif()

# A heap with planted waste, and what shows it.
program(fragmented SOURCES tools/fragmented.c)
run(map tools 300 COMMAND ${CMAKE_CURRENT_LIST_DIR}/map_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:fragmented>)
program(ctl_program SOURCES tools/ctl_program.c)
target_include_directories(ctl_program PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
add_library(late_blocks MODULE tools/late_blocks.c)
target_compile_definitions(late_blocks PRIVATE _GNU_SOURCE)
target_link_libraries(late_blocks PRIVATE nearheap_warnings)
set_target_properties(late_blocks PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
run(ctl tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/ctl_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:ctl_program>)
run(walk_fragmented tools 120 COMMAND ${CMAKE_CURRENT_LIST_DIR}/walk_fragmented.sh
    ${PROJECT_BINARY_DIR})
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    run(ctl_guest numa 400 COMMAND ${CMAKE_CURRENT_LIST_DIR}/ctl_guest.sh ${PROJECT_BINARY_DIR}
        ${tools}/numa-vm)
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
run(completion tools 300 COMMAND ${CMAKE_CURRENT_LIST_DIR}/completion_test.py ${tool_files})
run(docs tools 60 COMMAND ${CMAKE_CURRENT_LIST_DIR}/docs_test.py $<TARGET_FILE:options_table>
    $<TARGET_FILE:nearheap>)
