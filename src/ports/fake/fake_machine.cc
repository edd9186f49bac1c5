#include "ports/fake/fake_machine.h"

#include "ports/fake/shared_memory.h"

namespace trapline::fake {

std::optional<FakeMachine::Failure> FakeMachine::take(std::optional<Failure>& failure) {
  const std::optional<Failure> taken = failure;
  if (taken && taken->repeat == Repeat::once) failure.reset();
  return taken;
}

std::expected<void, Error> FakeMachine::power_on(CpuId cpu) {
  Cpu& it = cpus_[cpu.value];
  if (it.is_on) fail("a CPU that is on is switched on");
  ++it.power_ons;
  if (const auto failure = take(it.start_failure)) {
    it.is_on = failure->arrival == Arrival::late;
    return std::unexpected(failure->error);
  }
  it.is_on = true;
  return {};
}

std::expected<void, Error> FakeMachine::power_off(CpuId cpu) {
  Cpu& it = cpus_[cpu.value];
  if (!it.is_on) fail("a CPU that is off is switched off");
  if (const auto failure = take(it.stop_failure)) return std::unexpected(failure->error);
  it.is_on = false;
  return {};
}

}  // namespace trapline::fake
