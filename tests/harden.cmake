# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of the hardened process (NEARHEAP_HARDEN=1): its own, and some of the others in
# it.  Included by tests/CMakeLists.txt.

set(harden "NEARHEAP_HARDEN=1")
set(children "TSAN_OPTIONS=die_after_fork=0;ASAN_OPTIONS=detect_leaks=0")

program(harden_direct DIRECT SOURCES harden.c LIBRARIES PkgConfig::CMOCKA)
run(direct harden 120 COMMAND harden_direct ENVIRONMENT "${harden}")
run(direct_huge harden 120 COMMAND harden_direct ENVIRONMENT "${harden};NEARHEAP_HUGE=always")
run(direct_4_nodes harden 120 COMMAND harden_direct
    ENVIRONMENT "${harden};NEARHEAP_TOPOLOGY=${topology_4}")
foreach(nodes 1 4)
    set(these "${harden};NEARHEAP_TOPOLOGY=${topology_${nodes}}")
    run(surface_${nodes}_nodes harden 300 COMMAND surface_direct ENVIRONMENT "${these}")
    run(lookup_${nodes}_nodes harden 120 COMMAND lookup_direct ENVIRONMENT "${these}")
    run(walk_${nodes}_nodes harden 120 COMMAND walk_direct ENVIRONMENT "${these}")
endforeach()
run(dump harden 120 COMMAND dump_direct ENVIRONMENT "${harden}")
run(finalizer harden 120 COMMAND finalizer_direct ENVIRONMENT "${children};${harden}")
run(fork harden 300 COMMAND fork_direct ENVIRONMENT "${children};${harden}")
run(fork_signal harden 120 COMMAND fork_signal_direct ENVIRONMENT "${signal_children};${harden}")
run(thread_exit harden 300 COMMAND thread_exit_direct ENVIRONMENT "${harden}")
run(stress harden 600 COMMAND stress_direct --threads 2 ENVIRONMENT "${harden}")
# Two nodes borrow of the others; every few objects are sampled.
run(stress_4_nodes harden 600 COMMAND stress_direct --threads 2 --seed 4
    ENVIRONMENT "${harden};NEARHEAP_TOPOLOGY=${topology_4};NEARHEAP_NODE_LIMIT=0=16m,1=16m")
run(stress_profiled harden 600 COMMAND stress_direct --threads 2 --seed 5
    ENVIRONMENT "${harden};NEARHEAP_PROFILE=/dev/null;NEARHEAP_PROFILE_RATE=4k")

if(can_replace)
    run(linked harden 120 COMMAND surface ENVIRONMENT "${harden}")
    run(cxx harden 60 COMMAND cxx ENVIRONMENT "${harden}")
    run(early_late harden 30 COMMAND early_late ENVIRONMENT "${harden}")
    run(leaks harden 30 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/leaks.sh $<TARGET_FILE:leaks>
        ENVIRONMENT "${harden}")

    # What is found in a hardened process only.
    set(behind "nearheap: bad (free|realloc) of ${hex}: written behind an object of")
    set(after "nearheap: bad write to ${hex}: already free: an object of at most 104 bytes has")
    misuse(overflow_byte abort overflow_byte "${behind} 100 bytes: 0x41 at byte 100" "${harden}")
    misuse(overflow_string abort overflow_string
        "${behind} at most 104 bytes: its check word is ${hex}" "${harden}")
    misuse(overflow_realloc abort overflow_realloc "${behind} 100 bytes: 0x41 at byte 102"
        "${harden}")
    misuse(underflow abort underflow "${behind} at most 104 bytes: its check word is ${hex}"
        "${harden}")
    misuse(overflow_large fault overflow_large silence "${harden}")
    misuse(underflow_large fault underflow_large silence "${harden}")
    misuse(write_after_free abort write_after_free "${after} 0x41 at byte 16" "${harden}")
    misuse(write_after_quarantine abort write_after_quarantine "${after} 0x41 at byte 3"
        "${harden}")
    misuse(realloc_freed_small abort realloc_freed_small
        "nearheap: bad realloc of ${hex}: already free" "${harden}")
    foreach(source overflow_byte overflow_string overflow_realloc underflow write_after_free
            write_after_quarantine realloc_freed_small)
        misuse(${source}_report on ${source} "nearheap: bad [a-z]+ (of|to) ${hex}: .*"
            "${harden};NEARHEAP_BAD_FREE=report")
        misuse(${source}_ignore on ${source} silence "${harden};NEARHEAP_BAD_FREE=ignore")
    endforeach()
    # What is found in any process has the same line.
    foreach(source double_free double_free_large double_free_later double_free_threads
            finalizer_frees realloc_freed pages_twice)
        misuse(${source}_hardened abort ${source} "nearheap: bad [a-z_]+ of ${hex}: already free"
            "${harden}")
    endforeach()
    misuse(interior_hardened abort interior
        "nearheap: bad free of ${hex}: inside an object of 112 bytes at ${hex}" "${harden}")
    misuse(interior_large_hardened abort interior_large
        "nearheap: bad free of ${hex}: inside an object of 1007616 bytes at ${hex}" "${harden}")
    misuse(realloc_small_interior_hardened abort realloc_small_interior
        "nearheap: bad realloc of ${hex}: inside an object of 112 bytes at ${hex}" "${harden}")
    misuse(stack_pointer_hardened abort stack_pointer
        "nearheap: bad free of ${hex}: not from this heap" "${harden}")
    misuse(rest_hardened abort rest
        "nearheap: bad free of ${hex}: behind the last object of 112 bytes in its span" "${harden}")
    misuse(sized_mismatch_hardened abort sized_mismatch
        "nearheap: bad free of ${hex}: object of 64 bytes freed with size 1000" "${harden}")
    misuse(sized_less abort sized_less
        "nearheap: bad free of ${hex}: object of 64 bytes freed with size 63" "${harden}")
    misuse(sized_less_unknown on sized_less silence "")
    misuse(sized_byte_hardened abort sized_byte
        "nearheap: bad free of ${hex}: object of 64 bytes freed with size 65" "${harden}")
    misuse(sized_freed abort sized_freed "nearheap: bad free of ${hex}: already free" "${harden}")
    misuse(nothing_hardened on works silence "${harden}")
endif()
