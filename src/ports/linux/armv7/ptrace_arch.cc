// Armv7: debug registers through PTRACE_GETHBPREGS and PTRACE_SETHBPREGS, general registers through
// regsets. Which register fired is told by its number in the signal.
//
// Source: arch/arm/kernel/ptrace.c, and arch/arm64/kernel/ptrace.c for programs of 32 bits there.
// The kernel leaves it to the tracer to take a thread over the access, so all kinds are allowed,
// unlike with perf.
#include "ports/linux/ptrace_arch.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/user.h>

#include <cstddef>
#include <tuple>

#include "ports/linux/armv7/debug_pairs.h"
#include "ports/linux/ptrace_thread.h"
#include "regs/armv7/debug_registers.h"

namespace trapline::linux_port {
namespace {

namespace armv7 = regs::armv7;

// An undefined instruction of Thumb (UDF #1), twice, that Linux keeps for breakpoints
// (arch/arm/kernel/ptrace.c, thumb_break_hook) and its kin of ARM (arm_break_hook).
constexpr std::uint32_t kThumbBreak = 0xde01;
constexpr std::uint32_t kArmBreak = 0xe7f001f0;
constexpr std::uint64_t kThumbBit = 1;

// Where the kernel begins (TASK_SIZE, a multiple of 16 MB, less than that above the stack's end,
// where the program's name lies). A watchpoint there would trap in the kernel, which has nobody to
// take it over the access.
std::uint64_t end_of_user_memory() {
  constexpr std::uint64_t kGranule = 16ULL * 1024 * 1024;
  return (::getauxval(AT_EXECFN) / kGranule + 1) * kGranule;
}

// Code that was asked for as such, or that lies where no instruction of ARM's does; of a function
// pointer, the lowest bit tells.
bool is_thumb(const SlotRequest& slot) {
  constexpr ByteCount kThumbLength{2};
  constexpr std::uint64_t kWord = 4;
  return slot.length == kThumbLength || slot.address.value() % kWord != 0;
}

// The kernel takes the length as bytes from the address on, wherever that is in its word.
std::expected<std::uint32_t, Error> control_of(const SlotRequest& slot) {
  constexpr std::uint64_t kWindow = 8;
  if (slot.access == Access::execute) return breakpoint_control(is_thumb(slot));
  const auto pair = armv7::encode(armv7::Watchpoint{.address = RemoteAddress(0),
                                                    .length = slot.length,
                                                    .access = slot.access,
                                                    .privilege = armv7::Privilege::user},
                                  ByteCount{kWindow});
  if (!pair) return std::unexpected(pair.error());
  return pair->control;
}

std::expected<void, Error> write_slot(ThreadId tid, const SlotRequest& slot, SlotIndex index) {
  const std::uint64_t last = slot.address.value() + slot.length.value - 1;
  if (last >= end_of_user_memory()) return std::unexpected(Error{ErrorCode::unreadable_memory});
  const auto control = control_of(slot);
  if (!control) return std::unexpected(control.error());
  const bool code = slot.access == Access::execute;
  const RemoteAddress address = code ? code_address(slot.address) : slot.address;
  return put_pair(tid, {.code = code, .index = index.value},
                  static_cast<std::uint32_t>(address.value()), *control);
}

}  // namespace

std::expected<void, Error> write_debug_registers(ThreadId tid, std::span<const SlotRequest> slots,
                                                 std::span<const SlotIndex> registers) {
  // Disabled first: a tracer that died may have left some enabled.
  auto written = clear_debug_registers(tid);
  for (std::size_t i = 0; i < slots.size() && written; ++i)
    written = write_slot(tid, slots[i], registers[i]);
  // The first failure is the one to report.
  if (!written) std::ignore = clear_debug_registers(tid);
  return written;
}

std::expected<void, Error> clear_debug_registers(ThreadId tid) {
  const DebugResources there = debug_resources();
  for (const bool code : {false, true}) {
    const std::size_t count = code ? there.breakpoints : there.watchpoints;
    for (std::size_t index = 0; index < count; ++index) {
      auto disabled = disable_pair(tid, {.code = code, .index = index});
      if (!disabled) return disabled;
    }
  }
  return {};
}

std::uint32_t take_fired_registers(ThreadId tid) {
  const auto info = signal_info(tid);
  const auto pair = info ? fired_pair(*info) : std::nullopt;
  return pair ? std::uint32_t{1} << pair->index : 0;
}

std::expected<UserRegisters, Error> read_user_registers(ThreadId tid) {
  user_regs raw{};
  if (const int error = read_regset(tid, NT_PRSTATUS, &raw, sizeof raw); error != 0)
    return std::unexpected(error_of_pair(error));
  UserRegisters registers;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(ArmRegister::cpsr); ++i)
    registers.set(i, raw.uregs[i]);
  return registers;
}

// Without a frame pointer: GCC's (r7 in Thumb code, r11 in ARM) point elsewhere than at a saved one
// and a return address, so that a walk would make callers up.
FrameRegisters frame_registers(const UserRegisters& registers) {
  return {.instruction = registers.get(ArmRegister::pc),
          .stack = registers.get(ArmRegister::sp),
          .frame = std::nullopt,
          .link = registers.get(ArmRegister::lr)};
}

RemoteAddress code_address(RemoteAddress entry) {
  return RemoteAddress(entry.value() & ~kThumbBit);
}

std::uint64_t with_breakpoint(std::uint64_t original, RemoteAddress entry) {
  constexpr std::uint64_t kHalfword = 0xffff;
  const bool is_thumb = (entry.value() & kThumbBit) != 0;
  return is_thumb ? (original & ~kHalfword) | kThumbBreak : kArmBreak;
}

// Neither moves the program counter on.
bool rewind_breakpoint(ThreadId tid, RemoteAddress entry) {
  const auto registers = read_user_registers(tid);
  return registers && registers->get(ArmRegister::pc) == code_address(entry).value();
}

}  // namespace trapline::linux_port
