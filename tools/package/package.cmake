# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The guides, which every installation has, and Debian packages, by CPack.  These only in a
# tree that is configured for /usr, which the preset "package" is: where a library lies in a
# package is another place than in /usr/local.
#
#   libnearheap0      the library; may be installed beside a later one of another soname
#   libnearheap-dev   header, static libraries, pkg-config and CMake packages, nearheap(3)
#   nearheap-tools    what operators run, their pages, nearheap(7), the guides, examples

set(NEARHEAP_PACKAGE OFF)
set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tools/docs/ DESTINATION ${doc_dir}/nearheap-tools
    COMPONENT tools FILES_MATCHING PATTERN *.md)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/nearheap.conf
    DESTINATION ${doc_dir}/nearheap-tools/examples COMPONENT tools)
find_program(GZIP gzip)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    return()
elseif(NOT GZIP OR NOT DPKG_SHLIBDEPS)
    message(STATUS "no gzip or no dpkg-shlibdeps (Debian: dpkg-dev): without packages")
    return()
endif()
set(NEARHEAP_PACKAGE ON)

set(NEARHEAP_MAINTAINER "nearheap developers <developers@nearheap.invalid>" CACHE STRING
    "who builds the packages: their Maintainer field")
set(NEARHEAP_PACKAGE_RELEASE 1 CACHE STRING "the Debian revision of the packages")

set(package_lib libnearheap${NEARHEAP_SOVERSION})
set(package_dev libnearheap-dev)
set(package_tools nearheap-tools)

set(changelog ${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/changelog)
execute_process(COMMAND ${GZIP} -9nc ${CMAKE_CURRENT_LIST_DIR}/changelog OUTPUT_FILE ${changelog}
    COMMAND_ERROR_IS_FATAL ANY)
foreach(component lib dev tools)
    install(FILES ${changelog} ${CMAKE_CURRENT_LIST_DIR}/copyright
        DESTINATION ${doc_dir}/${package_${component}} COMPONENT ${component})
    install(FILES ${CMAKE_CURRENT_LIST_DIR}/overrides.${component}
        DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides
        RENAME ${package_${component}} COMPONENT ${component})
    string(TOUPPER ${component} upper)
    set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package_${component}})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nearheap)
set(CPACK_PACKAGE_VENDOR nearheap)
set(CPACK_PACKAGE_CONTACT ${NEARHEAP_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${NEARHEAP_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_RELEASE ${NEARHEAP_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SOURCE nearheap)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL lib dev tools)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(same "${package_lib} (= ${PROJECT_VERSION}-${NEARHEAP_PACKAGE_RELEASE})")
# A package's own first line, and what follows of all.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(about "Every object is on the memory node of the thread that asked for it, memory
that another node's thread frees goes home, and free memory goes back to the
system.")

set(CPACK_DEBIAN_LIB_DESCRIPTION "NUMA-aware malloc for servers
The library takes the place of malloc in a server, by linking or LD_PRELOAD.
${about}")
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_LIB_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)
# It is opened when there are several nodes (numa/README.md), so nothing links it.
set(CPACK_DEBIAN_LIB_PACKAGE_RECOMMENDS libhwloc15)
set(CPACK_DEBIAN_LIB_PACKAGE_SUGGESTS ${package_tools})

set(CPACK_DEBIAN_DEV_DESCRIPTION "NUMA-aware malloc for servers (development files)
Header, static libraries, pkg-config and CMake packages.
${about}")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS ${same})
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS pkg-config)

set(CPACK_DEBIAN_TOOLS_DESCRIPTION "NUMA-aware malloc for servers (tools for operators)
They start servers on the library with options that fit, tell the machine as
the allocator sees it, show and change running heaps, and read heap profiles.
${about}")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${same}, python3")
# For the names of functions in profiles.
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS binutils)

include(CPack)
