# What a build can choose, the architecture it is for, and the warnings every target gets.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(TRAPLINE_HOSTED "Build the Linux port and the command, not only the freestanding core" ON)
option(TRAPLINE_LINUX_FAULT "Build the handler of faults for Linux processes" ${TRAPLINE_HOSTED})
option(TRAPLINE_TESTS "Build the tests" ${TRAPLINE_HOSTED})
option(TRAPLINE_BENCHMARKS "Build the benchmarks" OFF)
option(TRAPLINE_FUZZERS "Build the libFuzzer targets (clang only)" OFF)
option(TRAPLINE_TOGETHER "Compile the sources of a folder together: half the time, for builds that are not worked in" OFF)
option(TRAPLINE_FREESTANDING "Compile the core with -ffreestanding" OFF)
option(TRAPLINE_FIRMWARE "Build the bare-metal Armv7-A port and its firmware (preset armv7-none)" OFF)
set(TRAPLINE_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(TRAPLINE_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(TRAPLINE_ARCH arm64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^armv7")
  set(TRAPLINE_ARCH armv7)
else()
  message(FATAL_ERROR "trapline: no support for processor '${CMAKE_SYSTEM_PROCESSOR}'. "
    "Supported: x86_64, aarch64, armv7-a. See docs/porting.md for what a new one has to provide.")
endif()

add_library(trapline_build_flags INTERFACE)
set(warnings
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wundef)
target_compile_options(trapline_build_flags INTERFACE "$<$<NOT:$<COMPILE_LANGUAGE:ASM>>:${warnings}>")
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Fires on std::string's operator+ at -O3: GCC bug 105651, fixed in 13.
  target_compile_options(trapline_build_flags INTERFACE -Wno-restrict)
endif()
if(TRAPLINE_SANITIZE)
  target_compile_options(trapline_build_flags INTERFACE
    -fsanitize=${TRAPLINE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(trapline_build_flags INTERFACE -fsanitize=${TRAPLINE_SANITIZE})
  if(TRAPLINE_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # It does not model fences. Ours only decide who sees whom first; what is shared is handed over by release and acquire.
    target_compile_options(trapline_build_flags INTERFACE -Wno-tsan)
  endif()
endif()

if(TRAPLINE_FUZZERS)
  target_compile_options(trapline_build_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The core never throws, never allocates and never asks for a type at run time.
add_library(trapline_core_flags INTERFACE)
target_compile_options(trapline_core_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
if(TRAPLINE_FREESTANDING)
  target_compile_options(trapline_core_flags INTERFACE -ffreestanding)
endif()
