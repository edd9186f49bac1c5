# What `cmake --install` puts where: the command, the library, its headers, package files for CMake and pkg-config, and
# the man page.
include(CMakePackageConfigHelpers)

set(libraries trapline_core)
if(TRAPLINE_HOSTED)
  list(APPEND libraries trapline_linux_library)
endif()
install(TARGETS ${libraries} EXPORT trapline-targets)
install(EXPORT trapline-targets NAMESPACE trapline:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/trapline)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/trapline-config.cmake.in
  ${CMAKE_BINARY_DIR}/trapline-config.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/trapline)
# Before 1.0 a minor version may break.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/trapline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/trapline-config.cmake ${CMAKE_BINARY_DIR}/trapline-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/trapline)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/trapline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Those with assembly are the architecture's, as the libraries are.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/isa/${TRAPLINE_ARCH}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/trapline/isa
  FILES_MATCHING PATTERN "*.h")

# In lib/pkgconfig, not in an architecture's own folder: the file finds its prefix two folders up.
configure_file(${CMAKE_CURRENT_LIST_DIR}/trapline.pc.in ${CMAKE_BINARY_DIR}/trapline.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/trapline.pc DESTINATION lib/pkgconfig)

if(TRAPLINE_HOSTED)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/trapline-linux.pc.in ${CMAKE_BINARY_DIR}/trapline-linux.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/trapline-linux.pc DESTINATION lib/pkgconfig)
  install(TARGETS trapline)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/trapline.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
