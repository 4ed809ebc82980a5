# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits: label limits.  A table: limit, nodes, case, MiB of objects and the span table the first
# time, refusals seen, MiB again after all was freed.

set(limits_source ${CMAKE_CURRENT_LIST_DIR}/limits.c)
if(NEARHEAP_SANITIZE MATCHES "address|thread") # which limit address space themselves
    return()
endif()
program(limits_direct DIRECT SOURCES ${limits_source})
program(limits SOURCES ${limits_source})
program(limits_glibc GLIBC SOURCES ${limits_source})
run(glibc_as limits 120 COMMAND limits_glibc as 300)
foreach(limit as data maps)
    run(${limit} limits 120 COMMAND limits ${limit} 300)
    run(${limit}_direct limits 120 COMMAND limits_direct ${limit} 300)
    # Not with 64: a few MiB that each heap keeps would be most of the limit.
    run(${limit}_4_nodes limits 120 COMMAND limits ${limit} 300
        ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
endforeach()
# A second each: more nodes, and heaps that have next to nothing when nothing can be mapped.
run(maps_early_direct limits 120 COMMAND limits_direct maps_early 300)
foreach(nodes 4 8)
    run(maps_early_${nodes}_nodes limits 120 COMMAND limits maps_early 300
        ENVIRONMENT "NEARHEAP_TOPOLOGY=synthetic:numa:${nodes} core:1 pu:1")
endforeach()
run(maps_8_nodes limits 120 COMMAND limits maps 300
    ENVIRONMENT "NEARHEAP_TOPOLOGY=synthetic:numa:8 core:1 pu:1")

program(grants SOURCES ${CMAKE_CURRENT_LIST_DIR}/grants.c)
target_include_directories(grants PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
run(grants limits 60 COMMAND grants ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_2}")

# Refused at once: by what the machine has (not in mode 1 of overcommit, as guests are in, where
# the tables are what there is no memory for), by limits.
program(refused SOURCES ${CMAKE_CURRENT_LIST_DIR}/refused.c)
run(refused_machine limits 60 COMMAND refused machine 16384 ENVIRONMENT NEARHEAP_DECAY=-1)
run(refused_tables limits 60 COMMAND refused tables 98304 ENVIRONMENT NEARHEAP_DECAY=-1)
foreach(limit as data)
    run(refused_${limit} limits 60 COMMAND refused ${limit} 2 ENVIRONMENT NEARHEAP_DECAY=-1)
endforeach()
run(refused_4_nodes limits 60 COMMAND refused machine 16384
    ENVIRONMENT NEARHEAP_DECAY=-1 "NEARHEAP_TOPOLOGY=${topology_4}")
run(refused_node_limit limits 60 COMMAND refused node_limit 1
    ENVIRONMENT NEARHEAP_DECAY=-1 NEARHEAP_NODE_LIMIT=64m)
run(refused_growing limits 60 COMMAND refused node_limit 1 grow
    ENVIRONMENT NEARHEAP_DECAY=-1 NEARHEAP_NODE_LIMIT=173m)
run(refused_node_limit_4_nodes limits 60 COMMAND refused node_limit 1
    ENVIRONMENT NEARHEAP_DECAY=-1 NEARHEAP_NODE_LIMIT=64m "NEARHEAP_TOPOLOGY=${topology_4}")
