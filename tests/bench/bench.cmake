# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of what compares allocators: label bench.  Not under sanitizers, whose malloc
# nothing may replace.

find_program(PYTHON3 python3)
if(NOT NEARHEAP_BENCH OR NEARHEAP_SANITIZE OR NOT PYTHON3)
    return()
endif()

set(here ${CMAKE_CURRENT_LIST_DIR})
run(workloads bench 120 COMMAND ${here}/workloads.py $<TARGET_FILE:bench_workload>
    $<TARGET_FILE:nearheap> 2 0.01)
run(workloads_7_threads bench 120 COMMAND ${here}/workloads.py $<TARGET_FILE:bench_workload>
    $<TARGET_FILE:nearheap> 7 0.005)
run(workloads_limit bench 120 COMMAND ${here}/workloads.py $<TARGET_FILE:bench_workload>
    $<TARGET_FILE:bench_limit> 3 0.01)
run(stress_limit bench 120 COMMAND stress_glibc --threads 3 --max-size 100000
    ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:bench_limit>")

add_library(broken_malloc MODULE ${here}/broken_malloc.c)
target_compile_options(broken_malloc PRIVATE -fno-builtin)
target_link_libraries(broken_malloc PRIVATE nearheap_warnings)
run(compare bench 120 COMMAND ${here}/compare_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:nearheap> $<TARGET_FILE:broken_malloc>)
run(contention bench 120 COMMAND ${here}/contention_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:nearheap>)
run(servers bench 240 COMMAND ${here}/servers_test.py ${PROJECT_BINARY_DIR}
    $<TARGET_FILE:nearheap> $<TARGET_FILE:broken_malloc>)
