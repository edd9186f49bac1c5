// Armv7: what debug registers there are is told by ptrace, and which kinds the kernel allows is
// tried.
#include "ports/linux/native_architecture.h"

#include <sys/ptrace.h>

#include <cstdint>
#include <optional>

#include "ports/linux/self_watch.h"
#include "ports/linux/traced_child.h"

namespace trapline::linux_port {
namespace {

// arch/arm/kernel/ptrace.c, ptrace_get_hbp_resource_info.
struct ResourceInfo {
  std::uint8_t breakpoints = 0;
  std::uint8_t watchpoints = 0;
  std::uint8_t longest = 0;  // bytes of one watchpoint
};

std::optional<ResourceInfo> ask_the_kernel() {
  const TracedChild child;
  std::uint32_t word = 0;
  constexpr long kInfo = 0;
  if (child.tid().value == 0 || ::ptrace(PTRACE_GETHBPREGS, child.tid().value, kInfo, &word) != 0)
    return std::nullopt;
  return ResourceInfo{.breakpoints = static_cast<std::uint8_t>(word),
                      .watchpoints = static_cast<std::uint8_t>(word >> 8),
                      .longest = static_cast<std::uint8_t>(word >> 16)};
}

alignas(8) std::uint64_t probed_word = 0;

bool is_accepted(Access access) {
  return try_self_watch({RemoteAddress::of_local(&probed_word), ByteCount{4}, access}).has_value();
}

// Kernels before v8 debug let only one kind through. Where perf does not tell, that one.
AccessSet accepted_kinds() {
  if (!is_accepted(Access::write)) return {Access::read_write, Access::execute};
  return {Access::read, Access::write, Access::read_write, Access::execute};
}

DebugArchitecture find_out() {
  // The least that the architecture allows (DDI 0406C, C11.11.19, DBGDIDR): 2 breakpoints and 1
  // watchpoint of a word.
  const auto info =
      ask_the_kernel().value_or(ResourceInfo{.breakpoints = 2, .watchpoints = 1, .longest = 4});
  return armv7_debug_architecture(info.breakpoints, info.watchpoints, ByteCount{info.longest},
                                  accepted_kinds());
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
