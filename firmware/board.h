// The board as a whole: its CPUs under the hotplug state machine, its debug registers as a
// facility.
//
// Everything the firmware does goes through it; there is one. From the threads of CPUs.
#pragma once

#include "ports/armv7_virt/debug_unit.h"
#include "ports/armv7_virt/hotplug_port.h"
#include "trapline/hotplug/state_machine.h"
#include "trapline/watch/hw_breakpoint.h"

namespace trapline::firmware {

// States of the firmware's own, at their fixed places.
inline constexpr hotplug::StateLayout kLayout{.prepare_fixed = 2,
                                              .prepare_dynamic = 4,
                                              .starting_fixed = 2,
                                              .online_fixed = 6,
                                              .online_dynamic = 6};
inline constexpr hotplug::Placement kResetPlace =
    hotplug::Placement::fixed(hotplug::Section::online, 0);
inline constexpr hotplug::Placement kWatchesPlace =
    hotplug::Placement::fixed(hotplug::Section::online, 1);

using Machine = hotplug::StateMachine<armv7_virt::Port>;
using Watches = HwBreakpoint<armv7_virt::DebugUnit, armv7_virt::Port>;

class Board {
 public:
  explicit Board(hotplug::Tracer* tracer = nullptr)
      : machine_(port_, kLayout, storage_.cpus, storage_.states, tracer),
        watches_(machine_, armv7_virt::debug_unit(),
                 {.reset = kResetPlace, .watches = kWatchesPlace}) {}

  [[nodiscard]] armv7_virt::Port& port() { return port_; }
  [[nodiscard]] Machine& machine() { return machine_; }
  [[nodiscard]] Watches& watches() { return watches_; }

  // Brings up the first CPU, which runs already, and then every other that is present. Errors:
  // those of cpu_up, for the first CPU that does not come.
  [[nodiscard]] std::expected<void, Error> bring_up_all() {
    for (std::uint32_t id = 0; id < armv7_virt::kMaxBoardCpus; ++id) {
      if (!port_.is_present(CpuId{id})) continue;
      if (const auto up = machine_.cpu_up(CpuId{id}); !up) return up;
    }
    return {};
  }

 private:
  armv7_virt::Port port_;
  hotplug::StaticStorage<armv7_virt::kMaxBoardCpus, kLayout> storage_;
  Machine machine_;
  Watches watches_;
};

}  // namespace trapline::firmware
