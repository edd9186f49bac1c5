// What perf offers of this architecture's registers. One body per architecture, in its folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace trapline::linux_port {

struct PerfArchitecture {
  // Every user register the kernel lets through, by its perf number.
  std::uint64_t registers = 0;
  // The perf number of the instruction pointer.
  std::size_t instruction_pointer = 0;
  // A call leaves the return address at the stack pointer, where no frame-pointer walk finds it
  // before the callee has set up its frame.
  bool return_address_on_stack = false;
  // A call leaves it in this register instead, by its perf number.
  std::optional<std::size_t> link_register = std::nullopt;
  // What the kernel reads and writes for a program in a system call is a hit.
  bool sees_system_calls = true;
  // Reads alone and writes alone can be asked for, as far as the hardware tells them apart. Else
  // both are asked for, and the instruction tells (perf_access).
  bool tells_kinds = true;
  // Whatever runs on a CPU can be watched, not only threads.
  bool watches_cpus = true;
};

[[nodiscard]] PerfArchitecture native_perf_architecture();

}  // namespace trapline::linux_port
