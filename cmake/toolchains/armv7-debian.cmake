# Armv7 against Debian's own libraries; armv7-linux.cmake is the compiler alone.
include(${CMAKE_CURRENT_LIST_DIR}/armv7-linux.cmake)
set(SYSROOT_ARCHITECTURE armhf)
set(SYSROOT_TRIPLET arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/sysroot.cmake)
