# trapline_component(NAME [CORE] [PATH folder] [SOURCES ...] [DEPS ...] [PRIVATE_DEPS ...])
#
# One folder of src/, one target: trapline_NAME. A header is reachable only through the target that owns it: each
# component gets an include root of its own under build/view/NAME, holding links to src/PATH (as "PATH/x.h") and to
# include/trapline/NAME (as "trapline/NAME/x.h"). Including a header of a component one does not link to is a
# compile error, which is how the dependency rules of the design are kept.
function(trapline_component NAME)
  cmake_parse_arguments(ARG "CORE" "PATH" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(NOT ARG_PATH)
    set(ARG_PATH ${NAME})
  endif()
  set(target trapline_${NAME})
  set(view ${CMAKE_BINARY_DIR}/view/${NAME})
  if(EXISTS ${PROJECT_SOURCE_DIR}/src/${ARG_PATH})
    trapline_view_link(${PROJECT_SOURCE_DIR}/src/${ARG_PATH} ${view}/${ARG_PATH})
  endif()
  if(EXISTS ${PROJECT_SOURCE_DIR}/include/trapline/${NAME})
    trapline_view_link(${PROJECT_SOURCE_DIR}/include/trapline/${NAME} ${view}/trapline/${NAME})
  endif()

  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    trapline_compile_together(${target})
    if(TRAPLINE_LINUX_FAULT)
      # A shared object may bring the library along.
      set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE trapline_build_flags ${ARG_PRIVATE_DEPS})
    if(ARG_CORE)
      target_link_libraries(${target} PRIVATE trapline_core_flags)
    endif()
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} $<BUILD_INTERFACE:${view}>)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${target} ${scope} ${dep})
  endforeach()
endfunction()

# trapline_compile_together(TARGET): with TRAPLINE_TOGETHER, compiles a target's sources of one folder as one, at most
# twelve at a time. Most of a compilation goes into headers. It asks of a folder that no two of its files use one name for two things
# in their unnamed namespaces; the build dev compiles each file alone, so each includes what it needs.
function(trapline_compile_together TARGET)
  if(NOT TRAPLINE_TOGETHER)
    return()
  endif()
  set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  # GCC takes what is included for a header, whose types are not to have fields of unnamed namespaces.
  target_compile_options(${TARGET} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
  get_target_property(sources ${TARGET} SOURCES)
  foreach(source IN LISTS sources)
    get_filename_component(folder "${source}" DIRECTORY)
    string(MAKE_C_IDENTIFIER "${folder}" folder)
    list(APPEND sources_in_${folder} ${source})
    list(LENGTH sources_in_${folder} count)
    math(EXPR batch "(${count} - 1) / 12")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP folder_${folder}_${batch})
  endforeach()
endfunction()

function(trapline_view_link SOURCE LINK)
  get_filename_component(parent ${LINK} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${SOURCE} ${LINK} SYMBOLIC)
endfunction()

# Most of a build's time goes into tests. Optimised, they take twice as long to compile and find no more; in a guest nobody
# debugs them.
set(TRAPLINE_TEST_FLAGS -O0)
if(CMAKE_CROSSCOMPILING)
  list(APPEND TRAPLINE_TEST_FLAGS -g0)
endif()

# trapline_unit_test(NAME SOURCES ... DEPS ... [TIMEOUT SECONDS] [LABELS ...] [NEEDS_HITS ...]): a GoogleTest program
# beside the code it tests. Labels:
#   serial           it measures load, so no other test runs beside it
#   debug-registers  it needs hits: where debug registers never fire, its tests are skipped. NEEDS_HITS says which: names
#                    with * and ?, or all but those after a minus
#   cpu-hotplug      it takes a CPU of the machine away, so no other test runs beside it
# Programs with the latter two also run in tests/vm; those of another architecture than this machine's all do.
function(trapline_unit_test NAME)
  if(NOT TRAPLINE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS;NEEDS_HITS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE trapline_build_flags ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  # native_machine.h: what tests name of the machine they run on.
  target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/${TRAPLINE_ARCH})
  if(NOT serial IN_LIST ARG_LABELS)
    target_compile_options(${NAME} PRIVATE ${TRAPLINE_TEST_FLAGS})
    trapline_test_headers()
    target_precompile_headers(${NAME} REUSE_FROM trapline_test_headers)
  endif()
  if(debug-registers IN_LIST ARG_LABELS)
    list(JOIN ARG_NEEDS_HITS ":" needs_hits)
    target_sources(${NAME} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/needs_hits.cc)
    target_compile_definitions(${NAME} PRIVATE TRAPLINE_NEEDS_HITS="${needs_hits}")
    target_link_libraries(${NAME} PRIVATE trapline_linux)
  endif()
  if(CMAKE_CROSSCOMPILING OR debug-registers IN_LIST ARG_LABELS OR cpu-hotplug IN_LIST ARG_LABELS)
    set_property(GLOBAL APPEND PROPERTY TRAPLINE_VM_TESTS ${NAME})
  endif()
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  gtest_discover_tests(${NAME} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABELS)
    trapline_label_tests(${NAME} "${ARG_LABELS}")
  endif()
endfunction()

# trapline_one_threaded(FOLDER): adds a folder whose code never runs in two threads. ThreadSanitizer has nothing to see
# there: its tests are left out of such a build.
function(trapline_one_threaded FOLDER)
  if(TRAPLINE_SANITIZE STREQUAL "thread" AND TRAPLINE_TESTS)
    message(STATUS "left out, one thread: the tests of ${FOLDER}")
    set(TRAPLINE_TESTS OFF)
  endif()
  add_subdirectory(${FOLDER})
endfunction()

# What nearly every test includes takes half of its time to compile; this is compiled once.
function(trapline_test_headers)
  if(TARGET trapline_test_headers)
    return()
  endif()
  add_library(trapline_test_headers OBJECT ${PROJECT_SOURCE_DIR}/tests/support/test_headers.cc)
  target_link_libraries(trapline_test_headers PRIVATE trapline_build_flags GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_options(trapline_test_headers PRIVATE ${TRAPLINE_TEST_FLAGS})
  target_precompile_headers(trapline_test_headers PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <algorithm> <array> <chrono> <expected> <functional> <map> <memory> <optional> <span>
    <string> <string_view> <thread> <unordered_map> <vector>)
endfunction()

# Labels what gtest_discover_tests has found, afterwards: of a property that is a list, it would keep only the first.
function(trapline_label_tests NAME LABELS)
  set(alone FALSE)
  if(serial IN_LIST LABELS OR cpu-hotplug IN_LIST LABELS)
    set(alone TRUE)
  endif()
  set(script ${CMAKE_CURRENT_BINARY_DIR}/${NAME}_labels.cmake)
  file(CONFIGURE OUTPUT ${script} @ONLY CONTENT [[
foreach(test IN LISTS @NAME@_TESTS)
  set_tests_properties("${test}" PROPERTIES LABELS "@LABELS@" RUN_SERIAL @alone@)
endforeach()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${script})
endfunction()
