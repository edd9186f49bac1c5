// arm64: how many debug registers a CPU has is told by ptrace alone (ID_AA64DFR0_EL1 reads as zero
// in those fields to user programs, Documentation/arm64/cpu-feature-registers.rst).
#include "ports/linux/native_architecture.h"

#include <asm/hwcap.h>
#include <asm/ptrace.h>
#include <elf.h>
#include <sys/auxv.h>

#include "ports/linux/ptrace_thread.h"
#include "ports/linux/traced_child.h"

namespace trapline::linux_port {
namespace {

// uapi asm/ptrace.h, user_hwdebug_state: the low byte of dbg_info is the number of registers.
constexpr std::uint32_t kRegisterCountMask = 0xff;
// The least that the architecture allows (Arm ARM, ID_AA64DFR0_EL1: BRPs and WRPs are at least 1,
// which stands for 2).
constexpr std::uint8_t kLeast = 2;

std::uint8_t count_of(const TracedChild& child, unsigned regset) {
  user_hwdebug_state state{};
  if (read_regset(child.tid(), regset, &state, sizeof state) != 0) return kLeast;
  return static_cast<std::uint8_t>(state.dbg_info & kRegisterCountMask);
}

DebugArchitecture ask_the_kernel() {
  const TracedChild child;
  return arm64_debug_architecture(count_of(child, NT_ARM_HW_BREAK),
                                  count_of(child, NT_ARM_HW_WATCH));
}

}  // namespace

DebugArchitecture native_debug_architecture() {
  static const DebugArchitecture known = ask_the_kernel();
  return known;
}

// FEAT_LSE (Documentation/arm64/elf_hwcaps.rst).
ExclusiveLoops native_exclusive_loops() {
  const bool has_atomics = (::getauxval(AT_HWCAP) & HWCAP_ATOMICS) != 0;
  return has_atomics ? ExclusiveLoops::avoidable : ExclusiveLoops::all;
}

}  // namespace trapline::linux_port
