// Instructions for tests, and what arm64 promises of accesses.
#pragma once

#include <cstddef>

#define TEST_UNDEFINED_INSTRUCTION "udf #0"
#define TEST_BREAKPOINT_INSTRUCTION "brk #0"
#define TEST_PRIVILEGED_INSTRUCTION "mrs x9, ttbr0_el1"
#define TEST_PRIVILEGED_CLOBBER "x9"
#define TEST_STORE_TO_NULL "str wzr, [%1]"

namespace trapline::linux_port {
inline constexpr std::size_t kLargestUnaligned = 8;
// Whether a store that crosses into a page that is not there leaves the other page as it was.
inline constexpr bool kStoresAcrossPagesAreWhole = false;
}  // namespace trapline::linux_port
