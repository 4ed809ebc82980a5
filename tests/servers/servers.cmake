# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real servers on the preloaded library, label servers, and programs that are linked with
# it, label install.  Only in a build as users have
# it, and only once: gcc's.

find_program(PYTHON3 python3)
if(NEARHEAP_SANITIZE OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU" OR NOT PYTHON3)
    return()
endif()

# load(NAME LIBRARY...): NAME.c, which does work and verifies it.  On the system's malloc
# unless that of another is preloaded.
function(load name)
    add_executable(${name} ${CMAKE_CURRENT_SOURCE_DIR}/servers/${name}.c)
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(${name} PRIVATE nearheap_warnings Threads::Threads ${ARGN})
endfunction()

load(memcached_load)
pkg_check_modules(ROCKSDB IMPORTED_TARGET rocksdb)
if(ROCKSDB_FOUND)
    load(rocksdb_load PkgConfig::ROCKSDB)
endif()
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3)
if(SQLITE_FOUND)
    load(sqlite_load PkgConfig::SQLITE)
endif()

# What is not installed is skipped.
foreach(name redis memcached postgresql mariadb rocksdb sqlite nginx clang node)
    run(${name} servers 300 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/run
        --build ${PROJECT_BINARY_DIR} ${name})
endforeach()
foreach(name memcached rocksdb)
    run(${name}_4_nodes servers 300 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/run
        --build ${PROJECT_BINARY_DIR} ${name} ENVIRONMENT "NEARHEAP_TOPOLOGY=${topology_4}")
endforeach()

run(linking install 300 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/servers/linking.sh
    ${PROJECT_BINARY_DIR})
