// Instructions for tests, and what x86-64 promises of accesses.
#pragma once

#include <sys/ptrace.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>

#define TEST_UNDEFINED_INSTRUCTION "ud2"
#define TEST_BREAKPOINT_INSTRUCTION "int3"
#define TEST_PRIVILEGED_INSTRUCTION "rdmsr"
#define TEST_PRIVILEGED_CLOBBER "rax", "rdx"
#define TEST_STORE_TO_NULL "movl $1, (%1)"
// Stores where %0 points to; so many bytes long.
#define TEST_REAL_BUG "mov %0, %%rdi\nmovl $1, (%%rdi)"
#define TEST_REAL_BUG_CLOBBER "rdi"
#define TEST_REAL_BUG_BYTES 6

namespace trapline::linux_port {
inline constexpr std::size_t kLargestUnaligned = 8;
// Whether a store that crosses into a page that is not there leaves the other page as it was.
inline constexpr bool kStoresAcrossPagesAreWhole = true;

// Of a traced thread that stands.
inline std::uintptr_t program_counter(pid_t stopped) {
  user_regs_struct registers{};
  ::ptrace(PTRACE_GETREGS, stopped, nullptr, &registers);
  return registers.rip;
}

}  // namespace trapline::linux_port
