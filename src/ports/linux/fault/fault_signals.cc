#include "ports/linux/fault/fault_signals.h"

#include "ports/linux/fault/perf_trap.h"

namespace trapline::linux_port {
namespace {

using fault::FaultKind;

// include/uapi/asm-generic/siginfo.h; not in every C library.
constexpr int kAsynchronousTagCheck = 8;  // SEGV_MTEAERR
constexpr int kTagCheck = 9;              // SEGV_MTESERR
constexpr int kControlProtection = 10;  // SEGV_CPERR: the shadow stack differs, nothing to survive
constexpr int kProtectionKey = 4;       // SEGV_PKUERR

std::optional<FaultKind> kind_of_segv(int code, const SignalContext& context) {
  if (context.is_without_address()) return FaultKind::not_an_address;
  switch (code) {
    case SEGV_MAPERR:
      return FaultKind::unmapped;
    case SEGV_ACCERR:
      return FaultKind::no_permission;
    case kProtectionKey:
    case kTagCheck:
      return FaultKind::wrong_tag;
    case kControlProtection:
      return std::nullopt;
    default:
      return FaultKind::other;
  }
}

FaultKind kind_of_bus(int code, const SignalContext& context) {
  // x86: an address outside the canonical ranges that is reached through RSP or RBP.
  if (context.is_without_address()) return FaultKind::not_an_address;
  switch (code) {
    case BUS_ADRALN:
      return FaultKind::misaligned;
    case BUS_ADRERR:
      return FaultKind::no_backing;
    case BUS_MCEERR_AR:
      return FaultKind::broken_memory;
    default:
      return FaultKind::other;
  }
}

}  // namespace

bool is_synchronous(int signal, const siginfo_t& info) {
  // 0 and below: sent by a process, a timer, a queue (sigaction(2)).
  if (info.si_code <= 0) return false;
  if (signal == SIGBUS) return info.si_code != BUS_MCEERR_AO;
  if (signal == SIGSEGV) return info.si_code != kAsynchronousTagCheck;
  if (signal == SIGTRAP) return info.si_code != kPerfTrapCode;
  return true;
}

std::optional<fault::FaultEvent> classify_fault(int signal, const siginfo_t& info,
                                                const SignalContext& context) {
  if (!is_synchronous(signal, info)) return std::nullopt;
  const auto address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  switch (signal) {
    case SIGSEGV: {
      const auto kind = kind_of_segv(info.si_code, context);
      if (!kind) return std::nullopt;
      return fault::FaultEvent{*kind, context.attempted(), address};
    }
    case SIGBUS:
      return fault::FaultEvent{kind_of_bus(info.si_code, context), context.attempted(), address};
    case SIGILL:
      return fault::FaultEvent{FaultKind::bad_instruction, TRAPLINE_GUARD_INSTRUCTION, address};
    case SIGTRAP:
      // Of all that traps, only breakpoint instructions: not single steps, watchpoints or perf
      // events.
      if (info.si_code != TRAP_BRKPT && info.si_code != SI_KERNEL) return std::nullopt;
      return fault::FaultEvent{FaultKind::breakpoint, TRAPLINE_GUARD_INSTRUCTION, address};
    default:
      return std::nullopt;
  }
}

}  // namespace trapline::linux_port
