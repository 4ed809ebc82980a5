# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Faults: every call that can fail fails (README.md beside this tells how): label faults.

set(here ${CMAKE_CURRENT_LIST_DIR})
file(STRINGS ${here}/calls.def by_name REGEX "^CALL\\([a-z_0-9]+, LIBC, ")
list(TRANSFORM by_name REPLACE "^CALL\\(([a-z_0-9]+),.*" "-Wl,--wrap=\\1")
list(REMOVE_DUPLICATES by_name)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${here}/calls.def)

add_executable(faults ${here}/main.c ${here}/load.c ${here}/objects.c ${here}/inject.c ${here}/inject_found.c
    ${here}/beat.c ${here}/outside.c)
target_include_directories(faults PRIVATE ${HWLOC_INCLUDE_DIRS})
target_compile_definitions(faults PRIVATE _GNU_SOURCE $<$<NOT:$<BOOL:${can_replace}>>:NH_TEST_DIRECT>)
target_compile_options(faults PRIVATE -fno-builtin
    "SHELL:-iquote ${PROJECT_SOURCE_DIR}" "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
target_link_options(faults PRIVATE ${by_name} -Wl,--wrap=syscall)
# What the library is made of, with the names that outside.c asks.
if(can_replace)
    target_sources(faults PRIVATE $<TARGET_OBJECTS:nearheap_static_objects>)
    target_include_directories(faults PRIVATE ${PROJECT_SOURCE_DIR}/include)
else()
    target_link_libraries(faults PRIVATE nearheap_inside)
endif()
target_link_libraries(faults PRIVATE nearheap_warnings Threads::Threads ${CMAKE_DL_LIBS})

find_program(PYTHON3 python3)
if(NOT PYTHON3)
    return()
endif()
# The whole matrix is tests/faults/run, half an hour; here with little work.
set(matrix ${here}/run --program $<TARGET_FILE:faults> --steps 200)
if(NOT NEARHEAP_SANITIZE)
    run(complete faults 30 COMMAND ${here}/complete.py ${here}/calls.def
        $<TARGET_FILE:nearheap_static>)
    run(matrix faults 600 COMMAND ${matrix} --share no --threads 4 --nodes 4)
    run(matrix_placed faults 600 COMMAND ${matrix} --share no --threads 1 --nodes 4r)
    run(matrix_hardened faults 600 COMMAND ${matrix} --harden --share no --threads 2 --nodes 4
        --calls mmap munmap mprotect madvise getrandom getauxval clock_gettime all)
    run(matrix_attendant faults 600 COMMAND ${matrix} --share yes --threads 1 --nodes 1
        --steps 50)
elseif(NOT NEARHEAP_SANITIZE STREQUAL "thread") # whose runtime has memory that comes and goes
    run(matrix faults 600 COMMAND ${matrix} --threads 2 --nodes 4r --calls mmap munmap madvise
        mremap mbind openat read pthread_setspecific poll accept4 fstat all)
endif()
