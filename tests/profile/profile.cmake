# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of the heap profile: label profile.  Included by tests/CMakeLists.txt.

set(here ${CMAKE_CURRENT_LIST_DIR})
find_program(ADDR2LINE addr2line)
find_program(PYTHON3 python3)
if(PYTHON3 AND NOT NEARHEAP_SANITIZE) # it runs nothing that was built
    run(hostile profile 120 COMMAND ${here}/hostile.py)
endif()

# Estimates against exact counts; and all entry points while every few objects are sampled.
program(profile_sampled_direct DIRECT SOURCES profile/sampled.c LIBRARIES m)
set(often "NEARHEAP_PROFILE=/dev/null;NEARHEAP_PROFILE_RATE=4k")
set(on_4_nodes "NEARHEAP_TOPOLOGY=${topology_4}")
set(repetitions 40)
set(threads 6)
if(NEARHEAP_SANITIZE) # enough there
    set(repetitions 10)
    set(threads 2)
endif()
set(sampled_direct ${here}/sampled.py $<TARGET_FILE:profile_sampled_direct> threads ${repetitions})
if(NOT NEARHEAP_SANITIZE)
    run(sampled_direct profile 300 COMMAND ${sampled_direct})
    run(stress_direct profile 600 COMMAND stress_direct --threads 4 --seed 3 ENVIRONMENT "${often}")
    run(fork_direct profile 300 COMMAND fork_direct ENVIRONMENT "${often}")
endif()
run(sampled_direct_4_nodes profile 300 COMMAND ${sampled_direct} ENVIRONMENT "${on_4_nodes}")
run(stress_direct_4_nodes profile 600 COMMAND stress_direct --threads ${threads} --seed 4
    ENVIRONMENT "${often};${on_4_nodes}")
if(NOT can_replace)
    return()
endif()
program(profile_sampled SOURCES profile/sampled.c LIBRARIES m)
foreach(caches cpus told)
    run(sampled_${caches} profile 300 COMMAND ${here}/sampled.py
        $<TARGET_FILE:profile_sampled> ${caches} ${repetitions})
endforeach()

# Files, and names in them.
if(NEARHEAP_SANITIZE OR NOT ADDR2LINE)
    return()
endif()
program(profile_planted SOURCES profile/planted.c)
target_compile_options(profile_planted PRIVATE -g)
run(files profile 120 COMMAND ${here}/files.py $<TARGET_FILE:profile_planted>)
run(crossnode profile 60 COMMAND ${here}/crossnode.py $<TARGET_FILE:profile_planted>
    ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    run(crossnode_guest numa 300 COMMAND ${here}/crossnode.py $<TARGET_FILE:profile_planted>
        ${PROJECT_SOURCE_DIR}/tools/numa-vm --no-install --cpus 1 --mem 200 --timeout 200)
endif()
