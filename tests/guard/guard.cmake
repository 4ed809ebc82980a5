# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of objects between guard pages: label guard.  Included by tests/CMakeLists.txt.

set(here ${CMAKE_CURRENT_LIST_DIR})
find_program(ADDR2LINE addr2line)
find_program(PYTHON3 python3)

# All entry points while every few objects have guard pages; contents are verified.
set(all "NEARHEAP_GUARD=1")
set(often "NEARHEAP_GUARD=2k")
set(both "${often};NEARHEAP_PROFILE=/dev/null;NEARHEAP_PROFILE_RATE=8k")
set(on_4_nodes "NEARHEAP_TOPOLOGY=${topology_4}")
set(threads 4)
if(NEARHEAP_SANITIZE) # enough there, where walking stacks takes long
    set(both "NEARHEAP_GUARD=32k;NEARHEAP_PROFILE=/dev/null;NEARHEAP_PROFILE_RATE=64k")
    set(threads 2)
endif()
program(guard_objects_direct DIRECT SOURCES guard/objects.c)
target_include_directories(guard_objects_direct PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
run(objects_direct guard 60 COMMAND guard_objects_direct
    ENVIRONMENT "${all};TSAN_OPTIONS=die_after_fork=0")
run(objects_direct_4_nodes guard 60 COMMAND guard_objects_direct
    ENVIRONMENT "${all};${on_4_nodes};TSAN_OPTIONS=die_after_fork=0")
run(objects_direct_hardened guard 60 COMMAND guard_objects_direct
    ENVIRONMENT "${all};${on_4_nodes};NEARHEAP_HARDEN=1;TSAN_OPTIONS=die_after_fork=0")
run(stress_direct_4_nodes guard 300 COMMAND stress_direct --threads ${threads} --seed 5
    ENVIRONMENT "${both};${on_4_nodes}")
if(NOT NEARHEAP_SANITIZE) # whose shadows cannot be locked
    program(guard_locked_direct DIRECT SOURCES guard/locked.c)
    target_include_directories(guard_locked_direct PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    run(locked_direct guard 60 COMMAND guard_locked_direct
        ENVIRONMENT "NEARHEAP_HARDEN=1;NEARHEAP_GUARD=4k")
    run(fork_direct guard 300 COMMAND fork_direct ENVIRONMENT "${often}")
endif()
if(NOT can_replace)
    return()
endif()
program(guard_objects SOURCES guard/objects.c)
target_include_directories(guard_objects PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
run(objects guard 60 COMMAND guard_objects ENVIRONMENT "${all}")
run(stress guard 300 COMMAND stress --threads 4 --seed 6 ENVIRONMENT "${often}")

# What is said of wrong uses, and programs' own handlers.
if(NEARHEAP_SANITIZE OR NOT ADDR2LINE OR NOT PYTHON3)
    return()
endif()
program(guard_wrong SOURCES guard/wrong.c)
target_compile_options(guard_wrong PRIVATE -g -O1)
run(wrong guard 60 COMMAND ${here}/wrong.py $<TARGET_FILE:guard_wrong> ${ADDR2LINE})
program(guard_handlers SOURCES guard/handlers.c)
target_include_directories(guard_handlers PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
run(handlers guard 60 COMMAND ${here}/handlers.py $<TARGET_FILE:guard_handlers>)
