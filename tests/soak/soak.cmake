# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Age: label soak.  A short form of what `soak --seconds 3600` tells, with contents
# asserted strictly, drift and times loosely.

set(soak_sources ${CMAKE_CURRENT_LIST_DIR}/soak.c ${CMAKE_CURRENT_LIST_DIR}/churn.c)
program(soak_direct DIRECT SOURCES ${soak_sources})
if(can_replace)
    program(soak SOURCES ${soak_sources})
endif()
if(NOT NEARHEAP_SANITIZE)
    run(linked soak 60 COMMAND soak --seconds 10 --scale 0.1 --drift 25 --slower 200 ENVIRONMENT "NEARHEAP_DECAY=100")
    # What recorded databases need, at the peak, for the bytes that they ask for.
    program(fragmentation SOURCES ${CMAKE_CURRENT_LIST_DIR}/fragmentation.c
        ${PROJECT_SOURCE_DIR}/bench/workloads/trace.c)
    set(traces ${PROJECT_SOURCE_DIR}/bench/traces)
    set(replayed ${traces}/redis.trace ${traces}/sqlite.trace ${traces}/rocksdb.trace)
    run(fragmentation soak 60 COMMAND fragmentation 200 ${replayed})
    run(fragmentation_4_nodes soak 60 COMMAND fragmentation 400 ${replayed}
        ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
    run(linked_4_nodes soak 60 COMMAND soak --seconds 10 --threads 4 --scale 0.1 --drift 25 --slower 200
        ENVIRONMENT "NEARHEAP_DECAY=100;NEARHEAP_TOPOLOGY=${topology_4}")
elseif(NOT can_replace)
    # Contents and order alone: sanitizers keep memory of their own.
    run(direct soak 60 COMMAND soak_direct --seconds 10 --scale 0.1 --drift 1000 --slower 1000)
endif()
