# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Fuzzing: label fuzz (README.md beside this).  Every build replays the corpus; one by clang
# goes on from there for some seconds, where its libFuzzer is.

set(here ${CMAKE_CURRENT_LIST_DIR})
set(calls_sources calls.c live.c shadow.c whole.c ../../src/libc_info.c)
set(options_sources options.c)
set(texts_sources texts.c)
set(topology_sources topology.c)
set(machine_sources machine.c ../../tools/machine_checks.c)
set(answer_sources answer.c ../../tools/ctl_answer.c)
set(commands_sources commands.c live.c)
set(frames_sources frames.c)
set(page_sources page.c)
foreach(part export page residence spark text values)
    list(APPEND page_sources ../../tools/top_${part}.c)
endforeach()
set(trace_sources trace.c ../../bench/workloads/trace.c)
set(targets calls options texts topology machine commands answer page frames trace)

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer")
check_c_source_compiles("#include <stddef.h>
    int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
    { (void)data; return (int)size & 0; }" NEARHEAP_HAVE_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)
# Its counters are races for a thread sanitizer.
if(NEARHEAP_HAVE_LIBFUZZER AND NOT NEARHEAP_SANITIZE STREQUAL "thread")
    set(fuzzed ON)
else()
    set(fuzzed OFF)
endif()

# What reads others' texts and tables has the address sanitizer too, which sees a read behind
# them.  Not the calls: their objects are the engine's own, about which it knows nothing, and it
# would take half of the speed.
set(sanitizers undefined)
set(reader_sanitizers address,${sanitizers})
# What libFuzzer ends with otherwise, 77, is a test that was left out.
set(fails_as -error_exitcode=1)

# The engine again, so that the fuzzer sees which of its branches are taken.
function(fuzzed_engine name sanitizers)
    list(TRANSFORM engine_sources PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE fuzzed_sources)
    add_library(${name} STATIC ${fuzzed_sources})
    nearheap_engine(${name})
    target_compile_definitions(${name} PRIVATE NH_DEBUG)
    target_compile_options(${name} PRIVATE -g -fsanitize=fuzzer-no-link,${sanitizers}
        -fno-sanitize-recover=undefined -fsanitize-coverage-ignorelist=${here}/uncounted.list)
    target_link_libraries(${name} PUBLIC Threads::Threads)
endfunction()

if(fuzzed)
    fuzzed_engine(nearheap_fuzzed ${sanitizers})
    fuzzed_engine(nearheap_fuzzed_reader ${reader_sanitizers})
endif()

# A run of some seconds, which goes on from the corpus and from what the last one found.
function(run_fuzzer name target)
    set(found ${CMAKE_CURRENT_BINARY_DIR}/fuzz_found_${name})
    file(MAKE_DIRECTORY ${found})
    run(${name} fuzz 120 COMMAND fuzz_${target} ${fails_as} -max_total_time=10
        -print_final_stats=1 -artifact_prefix=fuzz_${name}. ${found} ${here}/corpus/${target}
        ${ARGN})
endfunction()

foreach(target ${targets})
    list(TRANSFORM ${target}_sources PREPEND ${here}/)
    add_executable(fuzz_${target} ${${target}_sources})
    target_include_directories(fuzz_${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    # Locks are larger with internal checks.
    target_compile_definitions(fuzz_${target} PRIVATE _GNU_SOURCE
        $<$<OR:$<BOOL:${fuzzed}>,$<BOOL:${NEARHEAP_DEBUG}>,$<CONFIG:Debug>>:NH_DEBUG>)
    target_compile_options(fuzz_${target} PRIVATE -fno-builtin -Wno-deprecated-declarations
        "SHELL:-iquote ${PROJECT_SOURCE_DIR}" "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
    target_link_libraries(fuzz_${target} PRIVATE nearheap_warnings)
    if(fuzzed)
        if(target STREQUAL calls)
            set(kind fuzzer,${sanitizers})
            target_sources(fuzz_calls PRIVATE ${here}/mutate.c)
            target_link_libraries(fuzz_calls PRIVATE nearheap_fuzzed)
        else()
            set(kind fuzzer,${reader_sanitizers})
            target_link_libraries(fuzz_${target} PRIVATE nearheap_fuzzed_reader)
        endif()
        target_compile_options(fuzz_${target} PRIVATE -g -fsanitize=${kind}
            -fno-sanitize-recover=undefined)
        target_link_options(fuzz_${target} PRIVATE -fsanitize=${kind})
        set(replay_${target} ${fails_as} -runs=0 ${here}/corpus/${target})
        # Not topologies: there are some with which hwloc is busy for minutes, and whether one
        # is met is chance.
        if(NOT target STREQUAL topology)
            run_fuzzer(${target} ${target})
        endif()
    else()
        target_sources(fuzz_${target} PRIVATE ${here}/replay.c)
        target_link_libraries(fuzz_${target} PRIVATE nearheap_inside)
        set(replay_${target} ${here}/corpus/${target})
    endif()
    run(${target}_replay fuzz 120 COMMAND fuzz_${target} ${replay_${target}})
endforeach()
# What the trace's reader maps, and says of a damaged one, is the target's.
target_link_options(fuzz_trace PRIVATE -Wl,--wrap=mmap -Wl,--wrap=munmap -Wl,--wrap=fprintf)

set(calls_4_nodes "NEARHEAP_TOPOLOGY=${topology_4}")
set(calls_hardened "NEARHEAP_HARDEN=1")
set(calls_guarded "NEARHEAP_GUARD=64;NEARHEAP_TOPOLOGY=${topology_4}")
foreach(kind 4_nodes hardened guarded)
    run(calls_replay_${kind} fuzz 120 COMMAND fuzz_calls ${replay_calls}
        ENVIRONMENT "${calls_${kind}}")
    # Guard pages come and go in each of them.
    if(fuzzed AND NOT kind STREQUAL guarded)
        run_fuzzer(calls_${kind} calls ENVIRONMENT "${calls_${kind}}")
    endif()
endforeach()

if(fuzzed)
    add_executable(fuzz_fails ${here}/fails.c)
    target_link_options(fuzz_fails PRIVATE -fsanitize=fuzzer)
    target_compile_options(fuzz_fails PRIVATE -fsanitize=fuzzer)
    run(fails fuzz 60 COMMAND sh -c "\"$1\" ${fails_as} -artifact_prefix=fuzz_fails. || [ $? -eq 1 ]"
        sh $<TARGET_FILE:fuzz_fails>)
endif()

find_program(PYTHON3 python3)
if(PYTHON3)
    run(tools fuzz 300 COMMAND ${here}/tools.py ${here}/corpus --runs 300)
endif()
