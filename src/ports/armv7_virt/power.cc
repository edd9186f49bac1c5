#include "ports/armv7_virt/power.h"

#include <utility>

#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/gic.h"
#include "ports/armv7_virt/psci.h"
#include "ports/armv7_virt/threads.h"
#include "ports/armv7_virt/timer.h"
#include "ports/armv7_virt/vectors.h"
#include "ports/armv7_virt/watchdog.h"

extern "C" {
void trapline_secondary_start();  // start.S
void trapline_secondary_boot(trapline::armv7_virt::Cpu* cpu);
}

namespace trapline::armv7_virt {
namespace {

constexpr Nanoseconds kPowerLimit{5'000'000'000};
Nanoseconds power_limit = kPowerLimit;

std::unexpected<Error> psci_failure(psci::Result result) {
  return std::unexpected(Error{ErrorCode::os_failure, static_cast<int>(result)});
}

[[nodiscard]] bool is_past(Nanoseconds deadline) {
  return timer::now() > deadline;
}

[[nodiscard]] Nanoseconds deadline() {
  return Nanoseconds{timer::now().value + power_limit.value};
}

// The CPU itself: on its hotplug thread, interrupts masked. Returns only if it is refused.
void leave(void* argument, bool /*on_cpu*/) {
  Cpu& cpu = *static_cast<Cpu*>(argument);
  watchdog::stop_ticking();
  gic::disable_cpu_interface();
  const CpuId sender = cpu.hotplug_mail.sender;
  // Before anybody can see it off: behind the second store its memory may be somebody else's,
  // unless it is refused.
  cpu.has_arrived.store(false, std::memory_order_release);
  cpu.is_leaving.store(true, std::memory_order_release);
  wake(sender);
  const psci::Result refused = psci::cpu_off();
  cpu.is_leaving.store(false, std::memory_order_release);
  cpu.has_arrived.store(true, std::memory_order_release);
  cpu.off_refusal = refused;
  gic::initialize_cpu_interface();
  watchdog::start_ticking();
}

// A CPU that has left: what became of it.
enum class Departure : std::uint8_t { is_off, came_back, unknown };

// Waits until PSCI says that the CPU is off: only then is its stack nobody's.
[[nodiscard]] Departure wait_until_off(const Cpu& cpu) {
  const Nanoseconds end = deadline();
  while (psci::affinity_info(cpu.mpidr) != psci::Power::off) {
    // It was refused.
    if (cpu.has_arrived.load(std::memory_order_acquire)) return Departure::came_back;
    if (is_past(end)) return Departure::unknown;
  }
  return Departure::is_off;
}

// It is on its way back to its mailbox.
void take_back(Cpu& cpu) {
  wait_while([&] {
    return cpu.hotplug_mail.state.load(std::memory_order_acquire) == HotplugMailbox::kPosted;
  });
  reopen_thread(cpu.id);
}

// What an earlier turn_off did not live to see. Errors: timed_out, still.
[[nodiscard]] std::expected<void, Error> settle_departure(Cpu& cpu) {
  switch (wait_until_off(cpu)) {
    case Departure::is_off:
      cpu.is_leaving = false;
      return {};
    case Departure::came_back:
      take_back(cpu);
      return {};
    case Departure::unknown:
      break;
  }
  return std::unexpected(Error{ErrorCode::timed_out});
}

}  // namespace

void find_cpus() {
  constexpr std::uint32_t kAffinity = 0x00ff'ffff;
  const std::uint32_t own = isa::armv7::read_mpidr() & kAffinity;
  for (std::uint32_t id = 0; id < kMaxBoardCpus; ++id) {
    Cpu& cpu = cpu_at(CpuId{id});
    cpu.id = CpuId{id};
    // CPUs of one cluster, numbered from the first one's id on.
    cpu.mpidr = own + id;
    cpu.is_present = psci::affinity_info(cpu.mpidr) != psci::Power::no_such_cpu;
    prepare_threads(cpu);
  }
}

std::expected<void, Error> turn_on(CpuId id) {
  Cpu& cpu = cpu_at(id);
  if (cpu.is_leaving) {
    if (const auto settled = settle_departure(cpu); !settled) return settled;
  }
  if (cpu.has_arrived.load(std::memory_order_acquire)) return {};
  if (psci::affinity_info(cpu.mpidr) == psci::Power::off) {
    prepare_threads(cpu);
    const psci::Result asked =
        psci::cpu_on(cpu.mpidr, reinterpret_cast<std::uintptr_t>(&trapline_secondary_start),
                     reinterpret_cast<std::uintptr_t>(&cpu));
    // Pending, or on by now: somebody's earlier request is still on its way.
    if (asked != psci::Result::success && asked != psci::Result::already_on &&
        asked != psci::Result::on_pending)
      return psci_failure(asked);
  }
  const Nanoseconds end = deadline();
  wait_while([&] { return !cpu.has_arrived.load(std::memory_order_acquire) && !is_past(end); });
  if (!cpu.has_arrived) return std::unexpected(Error{ErrorCode::timed_out});
  return {};
}

std::expected<TurnedOff, Error> turn_off(CpuId id) {
  Cpu& cpu = cpu_at(id);
  if (!close_thread(id)) return std::unexpected(Error{ErrorCode::wrong_state});
  cpu.off_refusal = psci::Result::success;
  HotplugMailbox& mail = cpu.hotplug_mail;
  mail.work = {&leave, &cpu};
  mail.interrupts = Interrupts::masked;
  mail.sender = this_cpu().id;
  mail.state.store(HotplugMailbox::kPosted, std::memory_order_release);
  wake(id);
  wait_while([&] {
    return !cpu.is_leaving.load(std::memory_order_acquire) &&
           mail.state.load(std::memory_order_acquire) == HotplugMailbox::kPosted;
  });
  switch (wait_until_off(cpu)) {
    case Departure::is_off:
      cpu.is_leaving = false;
      return TurnedOff::confirmed;
    case Departure::unknown:
      return TurnedOff::unconfirmed;
    case Departure::came_back:
      break;
  }
  take_back(cpu);
  return psci_failure(cpu.off_refusal);
}

bool is_off_unconfirmed(CpuId cpu) {
  return cpu_at(cpu).is_leaving;
}

Nanoseconds set_power_limit(Nanoseconds limit) {
  return std::exchange(power_limit, limit);
}

}  // namespace trapline::armv7_virt

// A CPU that was started, on its own stack, interrupts masked.
void trapline_secondary_boot(trapline::armv7_virt::Cpu* cpu) {
  using namespace trapline::armv7_virt;
  trapline::isa::armv7::write_tpidrprw(reinterpret_cast<std::uintptr_t>(cpu));
  install_vectors();
  gic::initialize_cpu_interface();
  cpu->interface = gic::own_interface();
  watchdog::start_ticking();
  reopen_thread(cpu->id);
  // Pairs with the acquire in turn_on and running_interfaces.
  cpu->has_arrived.store(true, std::memory_order_release);
  wake_all();
  trapline::isa::armv7::unmask_irqs();
  serve_thread_mail();
}
