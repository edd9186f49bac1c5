// Instructions for tests, and what x86-64 promises of accesses.
#pragma once

#include <cstddef>

#define TEST_UNDEFINED_INSTRUCTION "ud2"
#define TEST_BREAKPOINT_INSTRUCTION "int3"
#define TEST_PRIVILEGED_INSTRUCTION "rdmsr"
#define TEST_PRIVILEGED_CLOBBER "rax", "rdx"
#define TEST_STORE_TO_NULL "movl $1, (%1)"

namespace trapline::linux_port {
inline constexpr std::size_t kLargestUnaligned = 8;
// Whether a store that crosses into a page that is not there leaves the other page as it was.
inline constexpr bool kStoresAcrossPagesAreWhole = true;
}  // namespace trapline::linux_port
