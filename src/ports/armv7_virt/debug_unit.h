// The debug registers of the calling CPU: found, reset, written. What they catch goes to
// debug_events.h.
//
// Satisfies DebugPort (trapline/port/debug_port.h). Source: Arm ARM Armv7-A/R (DDI 0406C), C11.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "isa/armv7/debug_access.h"
#include "regs/armv7/debug_registers.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/debug_architecture.h"
#include "trapline/port/debug_port.h"

namespace trapline::armv7_virt {

// What one CPU's registers hold, beside the registers themselves: written by its hotplug thread,
// read by its fault handlers.
struct InstalledSlots {
  static constexpr std::size_t kBank = isa::armv7::DebugRegister::kBank;
  std::array<std::optional<DebugSlot>, kBank> data;
  std::array<std::optional<DebugSlot>, kBank> code;
};

class DebugUnit {
 public:
  // Reads what the calling CPU has; all are alike. Before anything else.
  void discover();
  [[nodiscard]] regs::armv7::Identity identity() const { return identity_; }

  // --- DebugPort ---
  // One breakpoint fewer than there are: the last one steps over hits.
  [[nodiscard]] DebugArchitecture architecture() const;
  // In the order of the architecture manual: unlock, double lock, authentication, vector catch,
  // every breakpoint and watchpoint, monitor mode. Only accesses that survive a fault.
  [[nodiscard]] std::expected<void, Error> reset_ctrl_regs();
  // Errors: besides the port's, in_fault_path: code or memory that the fault handlers use before
  // hits are off; not_steppable: an exception return, or an MRS into sp or lr.
  [[nodiscard]] std::expected<void, Error> install(const DebugSlot& slot);
  void remove(const DebugSlot& slot);

  // --- for debug_events ---
  [[nodiscard]] static InstalledSlots& installed();
  // The register that is kept for stepping.
  [[nodiscard]] std::size_t step_register() const { return identity_.breakpoints - 1U; }
  // Stops and allows all hits of the calling CPU. Stopping says whether there could have been any;
  // it works where there are no debug registers at all.
  static bool disable_hits();
  static void enable_hits();
  // Switches one register off and on without forgetting what it holds.
  static void suspend(SlotIndex index, bool code);
  void resume(SlotIndex index, bool code);
  void set_step(std::uint32_t address, bool is_thumb);
  void clear_step();

  // --- for tests ---
  // The CPU's next resets believe that it has 16 registers of each kind, so that an access to one
  // it does not have faults, as on CPUs whose identity promises too much.
  void break_reset_on(CpuId cpu, bool is_broken);

 private:
  [[nodiscard]] std::expected<void, Error> unlock() const;
  [[nodiscard]] std::expected<void, Error> clear_all() const;
  [[nodiscard]] std::expected<void, Error> enable_monitor_mode() const;
  void write(SlotIndex index, bool code, std::uint32_t value, std::uint32_t control) const;
  [[nodiscard]] std::expected<std::uint32_t, Error> write_slot(const DebugSlot& slot) const;

  regs::armv7::Identity identity_;
  ByteCount window_{4};
};
static_assert(DebugPort<DebugUnit>);

// No hits of the calling CPU while it lives; then as it found them. In fault handlers.
class HitsOff {
 public:
  HitsOff() : were_on_(DebugUnit::disable_hits()) {}
  HitsOff(const HitsOff&) = delete;
  HitsOff& operator=(const HitsOff&) = delete;
  ~HitsOff() {
    if (were_on_) DebugUnit::enable_hits();
  }

 private:
  bool were_on_;
};

// The machine's.
[[nodiscard]] DebugUnit& debug_unit();

}  // namespace trapline::armv7_virt
