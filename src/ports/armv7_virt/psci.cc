#include "ports/armv7_virt/psci.h"

#include <atomic>
#include <optional>

#include "isa/armv7/system_registers.h"

namespace trapline::armv7_virt::psci {
namespace {

// What refuse_next asked for; 0 is success, which nobody asks for.
std::atomic<std::int32_t> on_refusal{0};
std::atomic<std::int32_t> off_refusal{0};
// What replace_next_on and never_say_off asked for.
std::atomic<std::int32_t> on_replacement{0};
std::atomic<bool> says_off{true};

std::optional<Result> take(std::atomic<std::int32_t>& refusal) {
  const std::int32_t answer = refusal.exchange(0);
  if (answer == 0) return std::nullopt;
  return Result{answer};
}

std::int32_t call(Function function, std::uint32_t first = 0, std::uint32_t second = 0,
                  std::uint32_t third = 0) {
  return static_cast<std::int32_t>(
      isa::armv7::hypervisor_call(static_cast<std::uint32_t>(function), first, second, third));
}

}  // namespace

Result cpu_on(std::uint32_t mpidr, std::uintptr_t entry, std::uintptr_t context) {
  if (const auto refused = take(on_refusal)) return *refused;
  isa::armv7::dsb();
  const Result answer{call(Function::cpu_on, mpidr, entry, context)};
  return answer == Result::success ? take(on_replacement).value_or(answer) : answer;
}

Result cpu_off() {
  if (const auto refused = take(off_refusal)) return *refused;
  isa::armv7::dsb();
  return Result{call(Function::cpu_off)};
}

Power affinity_info(std::uint32_t mpidr) {
  // Lowest affinity level: the CPU itself.
  switch (call(Function::affinity_info, mpidr, 0)) {
    case 0:
      return Power::on;
    case 1:
      return says_off ? Power::off : Power::on;
    case 2:
      return Power::on_pending;
    default:
      return Power::no_such_cpu;
  }
}

void system_off() {
  static_cast<void>(call(Function::system_off));
  while (true) isa::armv7::wfi();
}

void refuse_next(Function function, Result answer) {
  (function == Function::cpu_on ? on_refusal : off_refusal)
      .store(static_cast<std::int32_t>(answer));
}

void replace_next_on(Result answer) {
  on_replacement.store(static_cast<std::int32_t>(answer));
}

void never_say_off(bool never) {
  says_off = !never;
}

}  // namespace trapline::armv7_virt::psci
