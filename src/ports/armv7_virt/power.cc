#include "ports/armv7_virt/power.h"

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

constexpr Nanoseconds kTimeLimit{5'000'000'000};

std::unexpected<Error> psci_failure(psci::Result result) {
  return std::unexpected(Error{ErrorCode::os_failure, static_cast<int>(result)});
}

[[nodiscard]] bool is_past(Nanoseconds deadline) {
  return timer::now() > deadline;
}

[[nodiscard]] Nanoseconds deadline() {
  return Nanoseconds{timer::now().value + kTimeLimit.value};
}

// The CPU itself: on its hotplug thread, interrupts masked. Returns only if it is refused.
void leave(void* argument, bool /*on_cpu*/) {
  Cpu& cpu = *static_cast<Cpu*>(argument);
  watchdog::stop_ticking();
  gic::disable_cpu_interface();
  const CpuId sender = cpu.hotplug_mail.sender;
  // Before anybody can see it off: this is the last store it makes.
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

// Waits until PSCI says that the CPU is off: only then is its stack nobody's. False: it is not, in
// time.
[[nodiscard]] bool wait_until_off(const Cpu& cpu) {
  const Nanoseconds end = deadline();
  while (psci::affinity_info(cpu.mpidr) != psci::Power::off) {
    if (is_past(end)) return false;
    // It came back: it was refused.
    if (cpu.has_arrived.load(std::memory_order_acquire)) return false;
  }
  return true;
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

std::expected<void, Error> turn_off(CpuId id) {
  Cpu& cpu = cpu_at(id);
  if (thread_is_at_work(id)) return std::unexpected(Error{ErrorCode::wrong_state});
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
  if (wait_until_off(cpu)) {
    cpu.is_leaving = false;
    return {};
  }
  if (!cpu.has_arrived) return std::unexpected(Error{ErrorCode::timed_out});
  // Refused: it is on its way back to its mailbox.
  wait_while([&] { return mail.state.load(std::memory_order_acquire) == HotplugMailbox::kPosted; });
  return psci_failure(cpu.off_refusal);
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
  // Pairs with the acquire in turn_on and running_interfaces.
  cpu->has_arrived.store(true, std::memory_order_release);
  wake_all();
  trapline::isa::armv7::unmask_irqs();
  serve_thread_mail();
}
