// Instructions for tests, and what Armv7 promises of accesses.
#pragma once

#include <sys/ptrace.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>

#define TEST_UNDEFINED_INSTRUCTION "udf #0"
// What Linux takes for a breakpoint (arch/arm/kernel/ptrace.c), in either state.
#ifdef __thumb__
#define TEST_BREAKPOINT_INSTRUCTION ".inst.n 0xde01"
#else
#define TEST_BREAKPOINT_INSTRUCTION ".inst 0xe7f001f0"
#endif
#define TEST_PRIVILEGED_INSTRUCTION "mrc p15, 0, r0, c2, c0, 0"
#define TEST_PRIVILEGED_CLOBBER "r0"
#define TEST_STORE_TO_NULL "str %1, [%1]"
// Stores where %0 points to; so many bytes long.
#define TEST_REAL_BUG "str.w %0, [%0]"
#define TEST_REAL_BUG_CLOBBER "cc"
#define TEST_REAL_BUG_BYTES 4

namespace trapline::linux_port {
inline constexpr std::size_t kLargestUnaligned = 4;
// Whether a store that crosses into a page that is not there leaves the other page as it was.
inline constexpr bool kStoresAcrossPagesAreWhole = false;

// Of a traced thread that stands.
inline std::uintptr_t program_counter(pid_t stopped) {
  user_regs registers{};
  ::ptrace(PTRACE_GETREGS, stopped, nullptr, &registers);
  return registers.uregs[15];
}

}  // namespace trapline::linux_port
