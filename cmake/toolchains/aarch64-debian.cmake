# arm64 against Debian's own libraries; aarch64-linux.cmake is the compiler alone.
include(${CMAKE_CURRENT_LIST_DIR}/aarch64-linux.cmake)
set(SYSROOT_ARCHITECTURE arm64)
set(SYSROOT_TRIPLET aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/sysroot.cmake)
