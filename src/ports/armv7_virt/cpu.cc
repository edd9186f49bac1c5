#include "ports/armv7_virt/cpu.h"

namespace trapline::armv7_virt {
namespace {

Cpu cpus[kMaxBoardCpus];

}  // namespace

Cpu& cpu_at(CpuId cpu) {
  return cpus[cpu.value];
}

gic::CpuMask running_interfaces() {
  unsigned mask = 0;
  for (const Cpu& cpu : cpus) {
    if (cpu.has_arrived.load(std::memory_order_acquire)) mask |= cpu.interface;
  }
  return static_cast<gic::CpuMask>(mask);
}

}  // namespace trapline::armv7_virt
