// Armv7: what debug registers there are is told by ptrace.
#include "ports/linux/native_architecture.h"

#include "ports/linux/armv7/debug_pairs.h"

namespace trapline::linux_port {
namespace {

DebugArchitecture find_out() {
  const DebugResources there = debug_resources();
  // The hardware tells reads from writes, and ptrace lets it; perf does not on all kernels
  // (perf_arch.cc).
  DebugArchitecture machine =
      armv7_debug_architecture(there.breakpoints, there.watchpoints, ByteCount{there.longest},
                               {Access::read, Access::write, Access::read_write, Access::execute});
  // The hardware selects any run of bytes, Linux only these (arch/arm/kernel/hw_breakpoint.c,
  // arch_build_bp_info and hw_breakpoint_arch_parse).
  machine.addressing = DataAddressing::aligned_power_of_two;
  return machine;
}

}  // namespace

DebugArchitecture native_debug_architecture() {
  static const DebugArchitecture known = find_out();
  return known;
}

ExclusiveLoops native_exclusive_loops() {
  return ExclusiveLoops::all;
}

}  // namespace trapline::linux_port
