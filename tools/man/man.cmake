# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Manual pages: man_page(NAME COMPONENT COMMAND...) installs NAME, which COMMAND prints.
# What they take from the sources' tables a program fills in, which runs here: a build for
# another machine has pages only where CMAKE_CROSSCOMPILING_EMULATOR can run it.

if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(STATUS "cross-compiling without an emulator: without manual pages")
    function(man_page_filled)
    endfunction()
    return()
endif()

set(man_dir ${CMAKE_CURRENT_LIST_DIR})
set(man_out ${CMAKE_CURRENT_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${man_out})

add_executable(man_pages ${man_dir}/pages.c option_text.c)
target_compile_definitions(man_pages PRIVATE _GNU_SOURCE)
target_compile_options(man_pages PRIVATE
    "SHELL:-iquote ${PROJECT_SOURCE_DIR}" "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
target_link_libraries(man_pages PRIVATE nearheap_warnings nearheap_inside)

add_custom_target(man ALL)

function(man_page name component)
    set(page ${man_out}/${name})
    add_custom_command(OUTPUT ${page} COMMAND ${ARGN} > ${page} VERBATIM
        DEPENDS ${man_dir}/${name}.in ${man_dir}/api.awk man_pages
                ${PROJECT_SOURCE_DIR}/include/nearheap.h)
    if(NEARHEAP_PACKAGE) # Debian has pages compressed
        add_custom_command(OUTPUT ${page}.gz COMMAND ${GZIP} -9nkf ${page} VERBATIM DEPENDS ${page})
        string(APPEND page .gz)
    endif()
    string(MAKE_C_IDENTIFIER man_${name} target)
    add_custom_target(${target} DEPENDS ${page})
    add_dependencies(man ${target})
    string(REGEX MATCH "[0-9]$" section ${name})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
        COMPONENT ${component})
endfunction()

# The page of a tool, or what else is filled in from tables alone.
function(man_page_filled name component)
    man_page(${name} ${component} man_pages ${man_dir}/${name}.in)
endfunction()

man_page_filled(nearheap.7 tools)
man_page(nearheap.3 dev awk -f ${man_dir}/api.awk ${PROJECT_SOURCE_DIR}/include/nearheap.h
    ${man_dir}/nearheap.3.in)
