// Instructions for tests, and what arm64 promises of accesses.
#pragma once

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>

#define TEST_UNDEFINED_INSTRUCTION "udf #0"
#define TEST_BREAKPOINT_INSTRUCTION "brk #0"
#define TEST_PRIVILEGED_INSTRUCTION "mrs x9, ttbr0_el1"
#define TEST_PRIVILEGED_CLOBBER "x9"
#define TEST_STORE_TO_NULL "str wzr, [%1]"
// Stores where %0 points to; so many bytes long.
#define TEST_REAL_BUG "str wzr, [%0]"
#define TEST_REAL_BUG_CLOBBER "cc"
#define TEST_REAL_BUG_BYTES 4

namespace trapline::linux_port {
inline constexpr std::size_t kLargestUnaligned = 8;
// Whether a store that crosses into a page that is not there leaves the other page as it was.
inline constexpr bool kStoresAcrossPagesAreWhole = false;

// Of a traced thread that stands.
inline std::uintptr_t program_counter(pid_t stopped) {
  user_regs_struct registers{};
  iovec piece{&registers, sizeof registers};
  ::ptrace(PTRACE_GETREGSET, stopped, NT_PRSTATUS, &piece);
  return registers.pc;
}

}  // namespace trapline::linux_port
