# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests on machines with NUMA nodes, which tools/numa-vm emulates: label numa.
# Only in a build as users have it; not in those of the sanitizers, which need
# ten times the memory and time.

if(NEARHEAP_SANITIZE OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    return()
endif()

set(here ${CMAKE_CURRENT_LIST_DIR})
set(vm ${PROJECT_SOURCE_DIR}/tools/numa-vm)
foreach(property GUEST_SUITE GUEST_SUITE_BRIEF)
    get_property(suite DIRECTORY PROPERTY ${property})
    string(TOLOWER ${property} file)
    file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${file} CONTENT "${suite}")
endforeach()

program(placed GLIBC SOURCES numa/placed.c)
foreach(name exhausted placement_api live)
    program(${name} SOURCES numa/${name}.c)
endforeach()
foreach(name producer_consumer moving_thread)
    program(sim_${name} GLIBC SOURCES numa/sim_${name}.c)
    run(sim_${name} numa 900 COMMAND ${here}/sim.sh ${PROJECT_SOURCE_DIR}/tools/numa-sim
        $<TARGET_FILE:nearheap> -- $<TARGET_FILE:sim_${name}>)
endforeach()
find_program(REDIS_SERVER redis-server)
find_program(REDIS_BENCHMARK redis-benchmark)
if(REDIS_SERVER AND REDIS_BENCHMARK)
    run(sim_redis numa 900 COMMAND ${here}/sim.sh ${PROJECT_SOURCE_DIR}/tools/numa-sim
        $<TARGET_FILE:nearheap> --only-cpus 0,1,2 --copy ${REDIS_SERVER} --copy ${REDIS_BENCHMARK}
        -- ${here}/sim_redis.sh moved)
endif()

# guest(NAME numa-vm's arguments…)
function(guest name)
    run(${name} numa 900 COMMAND ${here}/guest.sh ${vm} --timeout 600 ${ARGN})
endfunction()

run(vm numa 900 COMMAND ${here}/vm_test.sh ${vm})

set(preload LD_PRELOAD=$<TARGET_FILE:nearheap>)
guest(placed --cpus 1 --mem 200 --env ${preload} -- $<TARGET_FILE:placed> 99.9 99.9 99)
guest(placed_bind --cpus 1 --mem 200 --env ${preload} --env NEARHEAP_POLICY=bind --
    $<TARGET_FILE:placed> 99.9 99.9 99)

# A thread on node 0 wants more than there is.
set(line --nodes 4 --distances line --env NEARHEAP_VERBOSE=2)
set(exhausted $<TARGET_FILE:exhausted>)
guest(out_of_node ${line} --mem 256,512,256,256 -- ${exhausted} --order 0,1 600)
guest(out_of_node_bind ${line} --mem 256,768,256,256 --env NEARHEAP_POLICY=bind --
    ${exhausted} --order 0,1 600)
guest(out_of_limit ${line} --mem 512 --env NEARHEAP_NODE_LIMIT=0=64m,1=64m --
    ${exhausted} --order 0,1,2 300)
# At the very end small objects fill what large ones left everywhere.
guest(out_of_all_limits ${line} --mem 256 --env NEARHEAP_NODE_LIMIT=32m --
    ${exhausted} --order 0,1,2,3 --stray 5 --fill 300)
guest(out_of_cpuset ${line} --mem 256 --cgroup cpuset.mems=1-3 -- ${exhausted} --order 1 150)
guest(out_of_cgroup ${line} --mem 256 --cgroup memory.max=200M -- ${exhausted} --order 0,1 --stray 5
    --fill 3000)
guest(out_of_everything ${line} --mem 256 -- ${exhausted} --order 0,1,2,3 --fill 3000)
guest(out_of_everything_bind ${line} --mem 256 --env NEARHEAP_POLICY=bind --
    ${exhausted} --order 0,1,2,3 --fill 3000)

# Limits that a guest alone can have; half a minute each.
set(limits_guest ${PROJECT_SOURCE_DIR}/tests/limits/guest.sh)
foreach(nodes 1 4)
    math(EXPR each "480 / ${nodes}")
    run(guest_${nodes}_nodes limits 900 COMMAND ${here}/guest.sh ${vm} --timeout 600
        --nodes ${nodes} --cpus 1 --mem ${each} --copy $<TARGET_FILE:limits>
        --copy $<TARGET_FILE:refused> --copy ${limits_guest}
        -- sh ${limits_guest} $<TARGET_FILE:limits> 480 $<TARGET_FILE:refused>)
endforeach()

guest(placement_api --cpus 1 --mem 256 -- $<TARGET_FILE:placement_api>)
guest(live --nodes 3 --cpus 2 --mem 256 -- $<TARGET_FILE:live>)

# On machines of many shapes: the whole suite, or what is brief of it (the other takes four
# minutes; by hand, suite.sh runs it on any).  Those with many processors one at a time: they
# are threads here, and those that wait for one that does not run take its time.
function(suite name list)
    run(suite_${name} numa 1800 COMMAND ${here}/suite.sh ${vm}
        ${CMAKE_CURRENT_BINARY_DIR}/${list} ${ARGN})
endfunction()
suite(1_node guest_suite_brief --nodes 1 --cpus 2 --mem 2000)
suite(2_nodes guest_suite_brief --nodes 2 --cpus 1 --mem 1000)
suite(4_nodes guest_suite --nodes 4 --cpus 1 --mem 500)
suite(8_nodes guest_suite_brief --nodes 8 --cpus 1 --mem 400)
suite(sparse_nodes guest_suite_brief --nodes 4 --cpus 2,-,0,0 --mem 800,-,600,600)
suite(possible_nodes guest_suite_brief --nodes 4 --cpus 1,-,1,- --mem 1000,-,1000,-)
suite(memoryless_node guest_suite_brief --nodes 3 --cpus 1 --mem 1000,0,1000)
suite(cpuless_node guest_suite_brief --nodes 3 --cpus 1,1,0 --mem 700)
set_tests_properties(numa.suite_4_nodes numa.suite_8_nodes PROPERTIES PROCESSORS 2)
