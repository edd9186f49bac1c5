#include "ports/armv7_virt/debug_unit.h"

#include <atomic>

#include "instructions/armv7/status_access.h"
#include "isa/armv7/guarded_instructions.h"
#include "isa/armv7/instruction_at.h"
#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/stacks.h"
#include "regs/bit_field.h"

extern "C" {
// link.ld.
extern char fault_code_start[];
extern char fault_code_end[];
extern char fault_data_start[];
extern char fault_data_end[];
}

namespace trapline::armv7_virt {
namespace {

using isa::armv7::dbg_read;
using isa::armv7::dbg_read_safe;
using isa::armv7::dbg_write;
using isa::armv7::dbg_write_safe;
using isa::armv7::DebugRegister;
using regs::armv7::Version;

constexpr regs::BitField kOsLockModelLow{0, 1};     // DBGOSLSR.OSLM[0]
constexpr regs::BitField kOsLockModelHigh{3, 1};    // DBGOSLSR.OSLM[1]
constexpr std::uint32_t kDoubleLock = 1U << 0;      // DBGOSDLR.DLK
constexpr regs::BitField kNonSecureInvasive{0, 2};  // DBGAUTHSTATUS: implemented above enabled
constexpr std::uint32_t kImplementedNotEnabled = 0b10;
constexpr std::uint32_t kMonitorMode = 1U << 15;  // DBGDSCR.MDBGen
constexpr std::uint32_t kEnable = 1U << 0;        // DBGBCR.E, DBGWCR.E
constexpr std::uint32_t kAllBytes = 0xffU << 5;   // DBGWCR.BAS

InstalledSlots installed_slots[kMaxBoardCpus];
std::atomic<std::uint32_t> broken_cpus{0};

std::unexpected<Error> failure(ErrorCode code) {
  return std::unexpected(Error{code});
}

DebugRegister value_register(SlotIndex index, bool code) {
  return code ? DebugRegister::breakpoint_value(index.value)
              : DebugRegister::watchpoint_value(index.value);
}
DebugRegister control_register(SlotIndex index, bool code) {
  return code ? DebugRegister::breakpoint_control(index.value)
              : DebugRegister::watchpoint_control(index.value);
}

bool overlaps(const DebugSlot& slot, std::uintptr_t begin, std::uintptr_t end) {
  const std::uint64_t first = slot.address.value();
  return first < end && begin < first + slot.length.value;
}

// A hit there would trap again on the way to where hits are turned off, for ever.
bool is_on_fault_path(const DebugSlot& slot) {
  const auto at = [](const char* symbol) { return reinterpret_cast<std::uintptr_t>(symbol); };
  if (slot.access == Access::execute)
    return overlaps(slot, at(fault_code_start), at(fault_code_end));
  if (overlaps(slot, at(fault_data_start), at(fault_data_end))) return true;
  for (const CpuStacks& cpu : trapline_stacks) {
    if (overlaps(slot, cpu.abort.bottom(), cpu.abort.top()) ||
        overlaps(slot, cpu.emergency.bottom(), cpu.emergency.top()) ||
        overlaps(slot, cpu.undefined.bottom(), cpu.undefined.top()))
      return true;
  }
  return false;
}

// The instruction at an address, as instruction_at gives it; nullopt: it cannot be read, and so
// will fault before it is executed.
std::optional<std::uint32_t> readable_instruction(std::uint32_t address, bool is_thumb) {
  const auto* const at = reinterpret_cast<const void*>(address);
  std::uint32_t word = 0;
  if (!is_thumb) return isa::guarded_load(at, word) == 0 ? std::optional(word) : std::nullopt;
  std::uint16_t first = 0;
  std::uint16_t second = 0;
  if (isa::guarded_load(at, first) != 0) return std::nullopt;
  if (!isa::armv7::is_wide_thumb(first)) return first;
  if (isa::guarded_load(reinterpret_cast<const void*>(address + sizeof(first)), second) != 0)
    return std::nullopt;
  return std::uint32_t{first} << 16 | second;
}

// Whether a breakpoint is asked for that the handler could not get past (debug_events.cc).
bool is_steppable(const DebugSlot& slot) {
  using instructions::armv7::StatusAccess;
  if (slot.access != Access::execute) return true;
  const auto address = static_cast<std::uint32_t>(slot.address.value());
  const bool is_thumb = (address & 1) != 0;
  // A misaligned address is refused as one.
  if (!is_thumb && address % sizeof(std::uint32_t) != 0) return true;
  const auto instruction = readable_instruction(address & ~std::uint32_t{1}, is_thumb);
  return !instruction ||
         instructions::armv7::status_access_of(*instruction, is_thumb) != StatusAccess::other;
}

}  // namespace

DebugUnit& debug_unit() {
  static constinit DebugUnit unit;
  return unit;
}

void DebugUnit::discover() {
  identity_ = regs::armv7::decode_identity(dbg_read(DebugRegister::identity()));
  // A CPU that selects among four bytes only does not keep the bits of the other four (DBGWCR.BAS).
  std::uint32_t kept = 0;
  if (dbg_write_safe(DebugRegister::watchpoint_control(0), kAllBytes) &&
      dbg_read_safe(DebugRegister::watchpoint_control(0), kept))
    window_ = ByteCount{(kept & kAllBytes) == kAllBytes ? 8U : 4U};
}

DebugArchitecture DebugUnit::architecture() const {
  return armv7_debug_architecture(
      static_cast<std::uint8_t>(identity_.breakpoints - 1), identity_.watchpoints, window_,
      {Access::read, Access::write, Access::read_write, Access::execute});
}

std::expected<void, Error> DebugUnit::reset_ctrl_regs() {
  installed() = {};
  if (const auto unlocked = unlock(); !unlocked) return unlocked;
  if (!dbg_write_safe(DebugRegister::vector_catch(), 0)) return failure(ErrorCode::not_supported);
  isa::armv7::isb();
  if (const auto cleared = clear_all(); !cleared) return cleared;
  return enable_monitor_mode();
}

std::expected<void, Error> DebugUnit::unlock() const {
  // v7.1 has an OS lock, v7 may have one; before that there is none (C7.6.4).
  if (identity_.version < static_cast<std::uint8_t>(Version::v7_full)) return {};
  std::uint32_t status = 0;
  if (!dbg_read_safe(DebugRegister::os_lock_status(), status))
    return failure(ErrorCode::not_supported);
  if (kOsLockModelLow.get(status) != 0 || kOsLockModelHigh.get(status) != 0) {
    // Any value but the key unlocks.
    if (!dbg_write_safe(DebugRegister::os_lock_access(), 0))
      return failure(ErrorCode::not_supported);
    isa::armv7::isb();
  }
  if (identity_.version == static_cast<std::uint8_t>(Version::v7_1)) {
    std::uint32_t double_lock = 0;
    if (!dbg_read_safe(DebugRegister::os_double_lock(), double_lock))
      return failure(ErrorCode::not_supported);
    if ((double_lock & kDoubleLock) != 0) return failure(ErrorCode::permission_denied);
  }
  // QEMU 7.2 does not have the register. What it would have told shows at the end: monitor mode
  // does not stay on.
  std::uint32_t authentication = 0;
  if (!dbg_read_safe(DebugRegister::authentication_status(), authentication)) return {};
  if (kNonSecureInvasive.get(authentication) == kImplementedNotEnabled)
    return failure(ErrorCode::permission_denied);
  return {};
}

std::expected<void, Error> DebugUnit::clear_all() const {
  const bool is_broken = (broken_cpus.load() >> this_cpu().id.value & 1) != 0;
  const std::size_t breakpoints = is_broken ? DebugRegister::kBank : identity_.breakpoints;
  const std::size_t watchpoints = is_broken ? DebugRegister::kBank : identity_.watchpoints;
  // Control first: a register that is on may not meet a half-written address.
  for (std::size_t index = 0; index < breakpoints; ++index) {
    if (!dbg_write_safe(DebugRegister::breakpoint_control(index), 0) ||
        !dbg_write_safe(DebugRegister::breakpoint_value(index), 0))
      return failure(ErrorCode::not_supported);
  }
  for (std::size_t index = 0; index < watchpoints; ++index) {
    if (!dbg_write_safe(DebugRegister::watchpoint_control(index), 0) ||
        !dbg_write_safe(DebugRegister::watchpoint_value(index), 0))
      return failure(ErrorCode::not_supported);
  }
  isa::armv7::isb();
  return {};
}

std::expected<void, Error> DebugUnit::enable_monitor_mode() const {
  std::uint32_t status = 0;
  if (!dbg_read_safe(DebugRegister::status_control(), status) ||
      !dbg_write_safe(DebugRegister::status_control(), status | kMonitorMode))
    return failure(ErrorCode::not_supported);
  isa::armv7::isb();
  if (!dbg_read_safe(DebugRegister::status_control(), status))
    return failure(ErrorCode::not_supported);
  if ((status & kMonitorMode) == 0) return failure(ErrorCode::no_hardware);
  return {};
}

std::expected<void, Error> DebugUnit::install(const DebugSlot& slot) {
  if (is_on_fault_path(slot)) return failure(ErrorCode::in_fault_path);
  if (!is_steppable(slot)) return failure(ErrorCode::not_steppable);
  const bool code = slot.access == Access::execute;
  auto& bank = code ? installed().code : installed().data;
  // Known before it can fire.
  bank[slot.index.value] = slot;
  const auto written = write_slot(slot);
  if (!written) {
    bank[slot.index.value].reset();
    return failure(written.error().code);
  }
  // A register that does not keep it will not fire.
  std::uint32_t kept = 0;
  if (dbg_read_safe(control_register(slot.index, code), kept) && kept == *written) return {};
  remove(slot);
  return failure(ErrorCode::no_hardware);
}

// The control value that was written.
std::expected<std::uint32_t, Error> DebugUnit::write_slot(const DebugSlot& slot) const {
  if (slot.access == Access::execute) {
    // Bit 0 is that of a pointer to Thumb code.
    const bool is_thumb = (slot.address.value() & 1) != 0;
    const auto pair = regs::armv7::encode(regs::armv7::Breakpoint{
        is_thumb ? slot.address - ByteCount{1} : slot.address,
        is_thumb ? regs::armv7::InstructionSet::thumb : regs::armv7::InstructionSet::arm});
    if (!pair) return std::unexpected(pair.error());
    write(slot.index, true, pair->value, pair->control);
    return pair->control;
  }
  const auto pair =
      regs::armv7::encode(regs::armv7::Watchpoint{slot.address, slot.length, slot.access}, window_);
  if (!pair) return std::unexpected(pair.error());
  write(slot.index, false, pair->value, pair->control);
  return pair->control;
}

void DebugUnit::write(SlotIndex index, bool code, std::uint32_t value,
                      std::uint32_t control) const {
  dbg_write(control_register(index, code), 0);
  isa::armv7::isb();
  dbg_write(value_register(index, code), value);
  dbg_write(control_register(index, code), control);
  isa::armv7::isb();
}

void DebugUnit::remove(const DebugSlot& slot) {
  const bool code = slot.access == Access::execute;
  dbg_write(control_register(slot.index, code), 0);
  isa::armv7::isb();
  (code ? installed().code : installed().data)[slot.index.value].reset();
}

InstalledSlots& DebugUnit::installed() {
  return installed_slots[this_cpu().id.value];
}

bool DebugUnit::disable_hits() {
  std::uint32_t status = 0;
  if (!dbg_read_safe(DebugRegister::status_control(), status) || (status & kMonitorMode) == 0)
    return false;
  dbg_write(DebugRegister::status_control(), status & ~kMonitorMode);
  isa::armv7::isb();
  return true;
}

void DebugUnit::enable_hits() {
  dbg_write(DebugRegister::status_control(),
            dbg_read(DebugRegister::status_control()) | kMonitorMode);
  isa::armv7::isb();
}

void DebugUnit::suspend(SlotIndex index, bool code) {
  const DebugRegister control = control_register(index, code);
  dbg_write(control, dbg_read(control) & ~kEnable);
  isa::armv7::isb();
}

void DebugUnit::resume(SlotIndex index, bool code) {
  const DebugRegister control = control_register(index, code);
  dbg_write(control, dbg_read(control) | kEnable);
  isa::armv7::isb();
}

void DebugUnit::set_step(std::uint32_t address, bool is_thumb) {
  const auto pair = regs::armv7::encode(
      regs::armv7::Breakpoint{RemoteAddress(address), is_thumb ? regs::armv7::InstructionSet::thumb
                                                               : regs::armv7::InstructionSet::arm});
  // An instruction's address is aligned, or it would not be one.
  if (pair)
    write(SlotIndex{static_cast<std::uint8_t>(step_register())}, true, pair->value, pair->control);
}

void DebugUnit::clear_step() {
  dbg_write(DebugRegister::breakpoint_control(step_register()), 0);
  isa::armv7::isb();
}

void DebugUnit::break_reset_on(CpuId cpu, bool is_broken) {
  const std::uint32_t bit = 1U << cpu.value;
  if (is_broken) {
    broken_cpus.fetch_or(bit);
  } else {
    broken_cpus.fetch_and(~bit);
  }
}

}  // namespace trapline::armv7_virt
