// Every CPU's stacks. Below each lies a page without access: an overflow faults, and the fault is
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

struct CpuStacks {
  Stack<std::size_t{128} * 1024> task;
  Stack<std::size_t{64} * 1024> hotplug;
  Stack<std::size_t{16} * 1024> abort;      // data and prefetch aborts
  Stack<std::size_t{16} * 1024> undefined;  // undefined instructions
};
static_assert(offsetof(CpuStacks, task) == 0);
static_assert(sizeof(CpuStacks::task) == TASK_STACK_TOP);

extern "C" CpuStacks trapline_stacks[kMaxBoardCpus];

[[nodiscard]] inline CpuStacks& stacks_of(CpuId cpu) {
  return trapline_stacks[cpu.value];
}

}  // namespace trapline::armv7_virt
