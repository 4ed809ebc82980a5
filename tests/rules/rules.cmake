# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of the standards' rules: label rules.  Every program runs linked with nearheap,
# with it preloaded, and on glibc, which shows that the test is right; where nothing is
# replaced (tests/CMakeLists.txt), the rules of C run by the engine's own names.

set(here ${CMAKE_CURRENT_LIST_DIR})
set(rules_sources ${here}/main.c ${here}/c17.c ${here}/c17_functions.c ${here}/posix.c
    ${here}/linux.c)

program(rules_direct DIRECT SOURCES ${rules_sources} LIBRARIES PkgConfig::CMOCKA)
run(direct rules 120 COMMAND rules_direct)
if(NOT NEARHEAP_SANITIZE STREQUAL "thread") # of which there is one
    foreach(nodes 4 64)
        run(direct_${nodes}_nodes rules 120 COMMAND rules_direct
            ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_${nodes}}")
    endforeach()
endif()
# Every other way to allocate: hardened, many objects between guard pages, and what is
# free given back at once, so that free itself makes the calls that the system may refuse.
set(hardened "NEARHEAP_HARDEN=1")
set(guarded "NEARHEAP_GUARD=4k")
set(no_decay "NEARHEAP_DECAY=0")
if(NEARHEAP_SANITIZE) # enough there, where walking stacks takes long
    set(guarded "NEARHEAP_GUARD=32k")
endif()
set(ways hardened guarded no_decay)
if(NEARHEAP_SANITIZE STREQUAL "thread")
    set(ways hardened) # most rules take one thread
endif()
if(NOT can_replace)
    foreach(way ${ways})
        run(direct_${way} rules 300 COMMAND rules_direct ENVIRONMENT "${${way}}")
    endforeach()
    return()
endif()

list(APPEND rules_sources ${here}/posix_library.c) # which allocates by the program's malloc
program(rules SOURCES ${rules_sources} LIBRARIES PkgConfig::CMOCKA)
program(rules_glibc GLIBC SOURCES ${rules_sources} LIBRARIES PkgConfig::CMOCKA)
run(linked rules 120 COMMAND rules)
run(linked_4_nodes rules 120 COMMAND rules ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
foreach(way ${ways})
    run(linked_${way} rules 300 COMMAND rules ENVIRONMENT "${${way}}")
endforeach()
# Of nearheap alone, since cmocka has no such library; GLIBC: it links no other nearheap.
program(rules_static GLIBC SOURCES ${rules_sources} LIBRARIES nearheap_static PkgConfig::CMOCKA)
run(static rules 120 COMMAND rules_static)

# cxx_rule(SOURCE NAME LIBRARY...): a program in C++ with these libraries.
function(cxx_rule source name)
    add_executable(${source}${name} ${here}/${source}.cc)
    target_compile_options(${source}${name} PRIVATE -fno-builtin -faligned-new
        $<$<CXX_COMPILER_ID:Clang>:-fsized-deallocation>
        # That it replaces the basic forms only is the point of cxx_replaced.cc.
        $<$<CXX_COMPILER_ID:GNU>:-Wno-sized-deallocation>)
    target_link_libraries(${source}${name} PRIVATE nearheap_warnings ${ARGN} Threads::Threads)
    run(${source}${name} rules 60 COMMAND ${source}${name})
endfunction()
function(cxx_rules name)
    foreach(source cxx cxx_replaced cxx_catches)
        cxx_rule(${source} "${name}" ${ARGN})
    endforeach()
endfunction()
cxx_rules("" nearheap)
cxx_rules(_static nearheap_static)
# Of a C++ runtime linked statically there is what a program asks of it, and no more.
if(NOT NEARHEAP_SANITIZE)
    cxx_rule(cxx_catches _static_runtime nearheap_static -static-libstdc++ -static-libgcc)
endif()
# By CPUs' caches, and by every other way to allocate.
run(cxx_4_nodes rules 60 COMMAND cxx ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
foreach(way ${ways})
    run(cxx_${way} rules 120 COMMAND cxx ENVIRONMENT "${${way}}")
endforeach()
run(cxx_profiled rules 60 COMMAND cxx
    ENVIRONMENT "NEARHEAP_PROFILE=/dev/null;NEARHEAP_PROFILE_RATE=4k;NEARHEAP_GUARD=64k")

add_library(cxx_plugin MODULE ${here}/cxx_plugin.cc)
target_compile_options(cxx_plugin PRIVATE -fno-builtin)
target_link_libraries(cxx_plugin PRIVATE nearheap_warnings)
program(cxx_host SOURCES ${here}/cxx_host.c LIBRARIES ${CMAKE_DL_LIBS})
run(cxx_plugin rules 60 COMMAND cxx_host $<TARGET_FILE:cxx_plugin>)
if(NOT NEARHEAP_SANITIZE)
    cxx_rules(_glibc)
    run(glibc rules 120 COMMAND rules_glibc)
    set(preload "LD_PRELOAD=$<TARGET_FILE:nearheap>")
    run(preloaded rules 120 COMMAND rules_glibc ENVIRONMENT "${preload}")
    run(preloaded_4_nodes rules 120 COMMAND rules_glibc
        ENVIRONMENT "${preload};NEARHEAP_TOPOLOGY=${topology_4}")
    run(preloaded_hardened rules 300 COMMAND rules_glibc ENVIRONMENT "${preload};${hardened}")
    run(cxx_preloaded rules 60 COMMAND cxx_glibc ENVIRONMENT "${preload}")
    run(cxx_catches_preloaded rules 60 COMMAND cxx_catches_glibc ENVIRONMENT "${preload}")
    program(cxx_host_glibc GLIBC SOURCES ${here}/cxx_host.c LIBRARIES ${CMAKE_DL_LIBS})
    run(cxx_plugin_glibc rules 60 COMMAND cxx_host_glibc $<TARGET_FILE:cxx_plugin>)
    run(cxx_plugin_preloaded rules 60 COMMAND cxx_host_glibc $<TARGET_FILE:cxx_plugin>
        ENVIRONMENT "${preload}")
    run(cxx_replaced_preloaded rules 60 COMMAND cxx_replaced_glibc ENVIRONMENT "${preload}")
endif()
