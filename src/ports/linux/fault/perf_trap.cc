#include "ports/linux/fault/perf_trap.h"

#include <atomic>
#include <cstddef>
#include <cstring>

namespace trapline::linux_port {
namespace {

// siginfo_t's member _perf (include/uapi/asm-generic/siginfo.h), which C libraries name late: it
// follows si_addr.
struct PerfFields {
  unsigned long data;
  std::uint32_t type;
  std::uint32_t flags;
};
constexpr std::size_t kPerfFields = offsetof(siginfo_t, si_addr) + sizeof(void*);
static_assert(kPerfFields % alignof(PerfFields) == 0);
static_assert(kPerfFields + sizeof(PerfFields) <= sizeof(siginfo_t));

constexpr std::uint32_t kAsynchronous = 1U << 0;

constinit std::atomic<PerfTrapOwner> owner_of_traps{nullptr};

}  // namespace

std::optional<PerfTrap> perf_trap_of(int signal, const siginfo_t& info) {
  if (signal != SIGTRAP || info.si_code != kPerfTrapCode) return std::nullopt;
  PerfFields fields;
  std::memcpy(&fields, reinterpret_cast<const std::byte*>(&info) + kPerfFields, sizeof fields);
  return PerfTrap{fields.data, (fields.flags & kAsynchronous) != 0};
}

void set_perf_trap_owner(PerfTrapOwner owner) {
  owner_of_traps.store(owner, std::memory_order_release);
}

bool claim_perf_trap(const PerfTrap& trap, const SignalContext& registers) {
  const PerfTrapOwner owner = owner_of_traps.load(std::memory_order_acquire);
  return owner != nullptr && owner(trap, registers);
}

}  // namespace trapline::linux_port
