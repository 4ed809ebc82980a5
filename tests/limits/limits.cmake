# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits: label limits.  A table: limit, nodes, case, MiB the first time, refusals seen,
# MiB again after all was freed.

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
