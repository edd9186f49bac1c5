// CPU hotplug states for a Linux process: resources of the application that follow CPUs.
//
// Starts with every online CPU brought up, listens for CPUs that come and go, and walks the state
// machine for them: one pinned hotplug thread per CPU runs the callbacks. Needs no privilege,
// except to take CPUs down and up oneself (root). docs/hotplug.md has a complete example.
//
// Two ways a CPU goes: asked for through machine().cpu_down (the teardowns run first, on the CPU,
// and may refuse), or by somebody else's doing (the kernel tells afterwards: they run on another
// thread with CallbackContext::cpu_is_lost, and cannot refuse). Offline and back is always both a
// loss and an arrival, however fast it was: what a CPU had is gone after it.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/hotplug/state.h"
#include "trapline/hotplug/state_machine.h"
#include "trapline/hotplug/trace.h"
#include "trapline/linux/hotplug_port.h"

namespace trapline {

struct CpuHotplugOptions {
  hotplug::StateLayout layout{};
  // Called from the threads that run callbacks, and from the watchdog; outlives the CpuHotplug.
  hotplug::Tracer* tracer = nullptr;
  // A callback that runs for longer is traced as hung.
  Nanoseconds hung_limit{10'000'000'000};
  // Whether to listen to the kernel's events (netlink). They do not reach a container with a user
  // namespace of its own: there, and without them, changes are found by looking, every
  // kReconcileWithoutEvents.
  bool listen = true;
  linux_port::LinuxHotplugPort::Fences fences = linux_port::LinuxHotplugPort::Fences::automatic;
  std::string cpu_folder = "/sys/devices/system/cpu";
};

// An arrival that fails (a callback's error) is tried again when the CPU comes online next, or by
// cpu_up. A CPU that leaves this process's cpuset while it is online stays up: only on_cpu of the
// next callback tells. Not for use in a child after fork(), which does not have the threads; not
// even its destructor.
class CpuHotplug {
 public:
  using Machine = hotplug::StateMachine<linux_port::LinuxHotplugPort>;

  // How late a change can be noticed when no event tells of it.
  static constexpr Nanoseconds kReconcileWithoutEvents{100'000'000};
  static constexpr Nanoseconds kReconcileWithEvents{1'000'000'000};

  // Blocks until every online CPU is up in the machine. Errors: not_supported (no CPU folder in
  // sysfs), limit_reached (threads, descriptors), os_failure.
  [[nodiscard]] static std::expected<std::unique_ptr<CpuHotplug>, Error> start(
      const CpuHotplugOptions& options = {});
  CpuHotplug(const CpuHotplug&) = delete;
  CpuHotplug& operator=(const CpuHotplug&) = delete;
  // Ends the threads. Every state must have been removed: its handle would outlive the machine.
  ~CpuHotplug();

  [[nodiscard]] Machine& machine();
  // One more than the largest CPU number there can ever be.
  [[nodiscard]] std::uint32_t cpu_limit() const;
  [[nodiscard]] bool hears_events() const;

  // Handles what has happened so far before it returns, whether an event told of it or not. Errors:
  // in_callback; lock_held (by the caller); os_failure if sysfs cannot be read.
  [[nodiscard]] std::expected<void, Error> reconcile();

  // When a CPU that is up came online. Also from hotplug callbacks.
  [[nodiscard]] std::optional<linux_port::CpuArrival> arrival(CpuId cpu) const;
  // Whether a CPU that is up has not been offline since it came, whatever has been heard of it.
  // nullopt: the kernel does not tell.
  [[nodiscard]] std::optional<bool> has_stayed_online(CpuId cpu) const;

 private:
  struct Impl;
  explicit CpuHotplug(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trapline
