// Every CPU's stacks. Below each lies memory without access: an overflow faults, and the fault is
// taken on another stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/offsets.h"
#include "trapline/base/units.h"

namespace trapline::armv7_virt {

template <std::size_t kSize>
struct alignas(kPageSize) Stack {
  std::array<std::byte, kPageSize> guard;
  std::array<std::byte, kSize> memory;

  [[nodiscard]] std::uintptr_t bottom() const {
    return reinterpret_cast<std::uintptr_t>(memory.data());
  }
  [[nodiscard]] std::uintptr_t top() const { return bottom() + kSize; }
};

// A stack whose own overflow would fault on itself, for ever. The guard is as large as the stack,
// and both are aligned so that the bit of the size is set in every address of the stack and in none
// of the guard: vectors.S looks before its first push.
template <std::size_t kSize>
struct alignas(2 * kSize) AbortStack {
  std::array<std::byte, kSize> guard;
  std::array<std::byte, kSize> memory;

  [[nodiscard]] std::uintptr_t bottom() const {
    return reinterpret_cast<std::uintptr_t>(memory.data());
  }
  [[nodiscard]] std::uintptr_t top() const { return bottom() + kSize; }
};

struct CpuStacks {
  Stack<std::size_t{128} * 1024> task;
  Stack<std::size_t{64} * 1024> hotplug;
  Stack<std::size_t{16} * 1024> undefined;  // undefined instructions
  AbortStack<ABORT_STACK_SIZE> abort;       // data and prefetch aborts
  AbortStack<ABORT_STACK_SIZE> emergency;   // to say that the one before is full
};
static_assert(offsetof(CpuStacks, task) == 0);
static_assert(sizeof(CpuStacks::task) == TASK_STACK_TOP);

extern "C" CpuStacks trapline_stacks[kMaxBoardCpus];

[[nodiscard]] inline CpuStacks& stacks_of(CpuId cpu) {
  return trapline_stacks[cpu.value];
}

}  // namespace trapline::armv7_virt
