// Source: uapi asm/perf_regs.h; arch/arm/kernel/hw_breakpoint.c, hw_breakpoint_arch_parse: with the
// default overflow handler only threads, only addresses of programs, and, where the fault status
// does not tell a read from a write (before v8 debug), only both together. A kernel of arm64 has
// none of these limits for programs of 32 bits. So it is tried.
//
// A watchpoint for user mode that fires in the kernel is stepped over there without an event
// (watchpoint_handler), and most of its copies do not fire any: no hit, as measured on 6.1.
#include "ports/linux/perf_arch.h"

#include <asm/perf_regs.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "ports/linux/file_descriptor.h"

namespace trapline::linux_port {
namespace {

alignas(8) std::uint64_t tried_word = 0;

// Not by PerfEvent, which asks here what it may ask for. Refused as invalid, not for want of
// privileges or registers.
bool is_invalid(std::uint32_t kind, pid_t pid, int cpu) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_BREAKPOINT;
  attributes.bp_type = kind;
  attributes.bp_addr = reinterpret_cast<std::uintptr_t>(&tried_word);
  attributes.bp_len = HW_BREAKPOINT_LEN_4;
  attributes.disabled = 1;
  attributes.exclude_kernel = 1;
  const FileDescriptor event(static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  return !event.is_open() && errno == EINVAL;
}

PerfArchitecture find_events() {
  constexpr pid_t kThisThread = 0;
  constexpr pid_t kAnybody = -1;
  constexpr int kAnyCpu = -1;
  constexpr int kFirstCpu = 0;
  return {.registers = (1ULL << PERF_REG_ARM_MAX) - 1,
          .instruction_pointer = PERF_REG_ARM_PC,
          .return_address_on_stack = false,
          .link_register = PERF_REG_ARM_LR,
          .sees_system_calls = false,
          .tells_kinds = !is_invalid(HW_BREAKPOINT_W, kThisThread, kAnyCpu),
          .watches_cpus = !is_invalid(HW_BREAKPOINT_RW, kAnybody, kFirstCpu)};
}

}  // namespace

PerfArchitecture native_perf_architecture() {
  static const PerfArchitecture known = find_events();
  return known;
}

}  // namespace trapline::linux_port
