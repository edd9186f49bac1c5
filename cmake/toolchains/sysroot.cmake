# Included by a toolchain file after it has set SYSROOT_ARCHITECTURE (as Debian names it) and SYSROOT_TRIPLET: headers and
# libraries come out of a sysroot of Debian's own packages, made on first use.
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../../packages/sysroot ${SYSROOT_ARCHITECTURE}
  OUTPUT_VARIABLE CMAKE_SYSROOT OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE sysroot_status)
if(NOT sysroot_status EQUAL 0)
  message(FATAL_ERROR "trapline: packages/sysroot ${SYSROOT_ARCHITECTURE} has failed; its message stands above")
endif()
set(CMAKE_LIBRARY_ARCHITECTURE ${SYSROOT_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/${SYSROOT_TRIPLET}/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
