# trapline_bpf_skeleton(TARGET X.bpf.c [INCLUDE folder ...]): compiles BPF programs and gives TARGET a header with them in
# it, X_bpf.skel.h. Needs clang and bpftool, whichever compiler builds the rest.
find_program(TRAPLINE_BPF_CLANG NAMES clang-19 clang DOC "clang with the BPF target")
find_program(TRAPLINE_BPFTOOL bpftool PATHS /usr/sbin DOC "makes skeletons of BPF objects")

function(trapline_bpf_skeleton TARGET SOURCE)
  foreach(tool TRAPLINE_BPF_CLANG TRAPLINE_BPFTOOL)
    if(NOT ${tool})
      message(FATAL_ERROR "trapline: ${tool} was not found; the BPF programs need it. Install clang-19 and bpftool.")
    endif()
  endforeach()
  cmake_parse_arguments(ARG "" "" "INCLUDE" ${ARGN})
  get_filename_component(name ${SOURCE} NAME_WE)
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR}/${SOURCE} DIRECTORY)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(header ${CMAKE_CURRENT_BINARY_DIR}/bpf/${name}_bpf.skel.h)
  set(includes -I${folder})
  foreach(include IN LISTS ARG_INCLUDE)
    list(APPEND includes -I${CMAKE_CURRENT_SOURCE_DIR}/${include})
  endforeach()
  # asm/ of the architecture that the programs will run on, which is the build's.
  if(CMAKE_LIBRARY_ARCHITECTURE)
    list(APPEND includes -I${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${TRAPLINE_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter
      ${includes} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${SOURCE} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${SOURCE}
    DEPFILE ${object}.d
    VERBATIM)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/bpf)
  add_custom_command(OUTPUT ${header}
    COMMAND sh -c "{ echo '// NOLINTBEGIN: generated'; \"${TRAPLINE_BPFTOOL}\" gen skeleton \"${object}\" name ${name}_bpf && echo '// NOLINTEND'; } > \"${header}.new\" && mv \"${header}.new\" \"${header}\""
    DEPENDS ${object}
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${header})
  # Generated code: its warnings are not ours.
  target_include_directories(${TARGET} SYSTEM PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/bpf)
endfunction()
