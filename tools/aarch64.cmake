# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Toolchain file: builds for arm64 on another Debian machine, against the libraries
# that tools/arm64-root unpacks.  Debian's g++-aarch64-linux-gnu compiles.
#   cmake -S . -B build-arm64 --toolchain tools/aarch64.cmake

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/arm64-root
    OUTPUT_VARIABLE arm64_root OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE arm64_status)
if(NOT arm64_status EQUAL 0)
    message(FATAL_ERROR "tools/arm64-root could not get the libraries")
endif()
foreach(language C CXX)
    set(CMAKE_${language}_STANDARD_INCLUDE_DIRECTORIES
        ${arm64_root}/usr/include ${arm64_root}/usr/include/aarch64-linux-gnu)
endforeach()
set(ENV{PKG_CONFIG_LIBDIR} ${arm64_root}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${arm64_root})
