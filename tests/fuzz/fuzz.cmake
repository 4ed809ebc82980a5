# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Fuzzing: label fuzz (README.md beside this).  Every build replays the corpus; one by clang
# goes on from there for some seconds, where its libFuzzer is.

set(here ${CMAKE_CURRENT_LIST_DIR})
set(calls_sources calls.c live.c shadow.c whole.c)
set(options_sources options.c)
set(topology_sources topology.c)
set(machine_sources machine.c ../../tools/machine_checks.c)
set(answer_sources answer.c ../../tools/ctl_answer.c)
set(commands_sources commands.c live.c)
set(frames_sources frames.c)
set(page_sources page.c)
foreach(part export page residence text values)
    list(APPEND page_sources ../../tools/top_${part}.c)
endforeach()

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer")
check_c_source_compiles("#include <stddef.h>
    int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
    { (void)data; return (int)size & 0; }" NEARHEAP_HAVE_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)

if(NEARHEAP_HAVE_LIBFUZZER)
    # The engine again, so that the fuzzer sees which of its branches are taken.
    list(TRANSFORM engine_sources PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE fuzzed_sources)
    add_library(nearheap_fuzzed STATIC ${fuzzed_sources})
    nearheap_engine(nearheap_fuzzed)
    target_compile_definitions(nearheap_fuzzed PRIVATE NH_DEBUG)
    target_compile_options(nearheap_fuzzed PRIVATE -g -fsanitize=fuzzer-no-link,undefined
        -fno-sanitize-recover=undefined -fsanitize-coverage-ignorelist=${here}/uncounted.list)
    target_link_libraries(nearheap_fuzzed PUBLIC Threads::Threads)
endif()

foreach(target calls options topology machine commands answer page frames)
    list(TRANSFORM ${target}_sources PREPEND ${here}/)
    add_executable(fuzz_${target} ${${target}_sources})
    target_include_directories(fuzz_${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_compile_definitions(fuzz_${target} PRIVATE _GNU_SOURCE)
    target_compile_options(fuzz_${target} PRIVATE -fno-builtin
        "SHELL:-iquote ${PROJECT_SOURCE_DIR}" "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
    target_link_libraries(fuzz_${target} PRIVATE nearheap_warnings)
    if(NEARHEAP_HAVE_LIBFUZZER)
        target_compile_options(fuzz_${target} PRIVATE -g -fsanitize=fuzzer,undefined
            -fno-sanitize-recover=undefined)
        target_link_options(fuzz_${target} PRIVATE -fsanitize=fuzzer,undefined)
        target_link_libraries(fuzz_${target} PRIVATE nearheap_fuzzed)
        if(target STREQUAL calls)
            target_sources(fuzz_calls PRIVATE ${here}/mutate.c)
        endif()
        set(replay_${target} -runs=0 ${here}/corpus/${target})
        # Not topologies: there are some with which hwloc is busy for minutes, and whether one
        # is met is chance.
        if(NOT target STREQUAL topology)
            run(${target} fuzz 120 COMMAND fuzz_${target} -max_total_time=10 -print_final_stats=1
                -artifact_prefix=fuzz_${target}. ${CMAKE_CURRENT_BINARY_DIR}/fuzz_found_${target}
                ${here}/corpus/${target})
        endif()
        file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz_found_${target})
    else()
        target_sources(fuzz_${target} PRIVATE ${here}/replay.c)
        target_link_libraries(fuzz_${target} PRIVATE nearheap_inside)
        set(replay_${target} ${here}/corpus/${target})
    endif()
    run(${target}_replay fuzz 120 COMMAND fuzz_${target} ${replay_${target}})
endforeach()
run(calls_replay_4_nodes fuzz 120 COMMAND fuzz_calls ${replay_calls}
    ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")

run(calls_replay_hardened fuzz 120 COMMAND fuzz_calls ${replay_calls}
    ENVIRONMENT "NEARHEAP_HARDEN=1")
run(calls_replay_guarded fuzz 120 COMMAND fuzz_calls ${replay_calls}
    ENVIRONMENT "NEARHEAP_GUARD=64;NEARHEAP_TOPOLOGY=${topology_4}")

find_program(PYTHON3 python3)
if(PYTHON3)
    run(tools fuzz 300 COMMAND ${here}/tools.py ${here}/corpus --runs 300)
endif()
