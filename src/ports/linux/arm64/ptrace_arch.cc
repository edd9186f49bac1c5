// arm64: debug registers and general registers through regsets (uapi linux/elf.h: NT_ARM_HW_WATCH,
// NT_ARM_HW_BREAK, NT_PRSTATUS; uapi asm/ptrace.h: user_hwdebug_state). Which register fired is
// told by the address in the signal.
#include "ports/linux/ptrace_arch.h"

#include <asm/ptrace.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <tuple>

#include "ports/linux/ptrace_thread.h"
#include "regs/arm64/debug_registers.h"

namespace trapline::linux_port {
namespace {

namespace arm64 = regs::arm64;

constexpr std::uint32_t kBreak = 0xd4200000;  // BRK #0 (Arm ARM, C6.2)
constexpr std::uint32_t kCountMask = 0xff;    // of dbg_info
constexpr std::size_t kMostRegisters = std::extent_v<decltype(user_hwdebug_state::dbg_regs)>;

struct Bank {
  unsigned regset;
  user_hwdebug_state state{};
  std::size_t used = 0;  // registers that are written, from the first on
};

Bank watchpoints() {
  return {.regset = NT_ARM_HW_WATCH};
}

Bank breakpoints() {
  return {.regset = NT_ARM_HW_BREAK};
}

// 0, or the errno. The kernel takes as many registers as are given, and refuses those it does not
// have.
int put(ThreadId tid, Bank& bank) {
  iovec vector{.iov_base = &bank.state,
               .iov_len = offsetof(user_hwdebug_state, dbg_regs) +
                          bank.used * sizeof bank.state.dbg_regs[0]};
  return ::ptrace(PTRACE_SETREGSET, tid.value, bank.regset, &vector) == 0 ? 0 : errno;
}

Error error_of(int error) {
  // arch/arm64/kernel/hw_breakpoint.c: an address of the kernel's.
  const bool is_bad_address = error == EINVAL;
  return error_of_registers(error,
                            is_bad_address ? ErrorCode::unreadable_memory : ErrorCode::os_failure);
}

std::expected<void, Error> encode_slot(const SlotRequest& slot, std::size_t at, Bank& watch,
                                       Bank& code) {
  if (slot.access == Access::execute) {
    const auto pair = arm64::encode(arm64::Breakpoint{.address = slot.address});
    if (!pair) return std::unexpected(pair.error());
    code.state.dbg_regs[at] = {.addr = pair->value, .ctrl = pair->control, .pad = 0};
    code.used = std::max(code.used, at + 1);
    return {};
  }
  const auto pair = arm64::encode(
      arm64::Watchpoint{.address = slot.address, .length = slot.length, .access = slot.access});
  if (!pair) return std::unexpected(pair.error());
  watch.state.dbg_regs[at] = {.addr = pair->value, .ctrl = pair->control, .pad = 0};
  watch.used = std::max(watch.used, at + 1);
  return {};
}

// Every register the CPU has, disabled. One that was never enabled is not created by this
// (arch/arm64/kernel/ptrace.c creates them on first use): only those that a tracer had are written.
int disable_all(ThreadId tid, Bank bank) {
  user_hwdebug_state known{};
  if (const int error = read_regset(tid, bank.regset, &known, sizeof known); error != 0)
    return error;
  const std::size_t count = std::min<std::size_t>(known.dbg_info & kCountMask, kMostRegisters);
  for (std::size_t i = 0; i < count; ++i) {
    if (known.dbg_regs[i].addr != 0 || known.dbg_regs[i].ctrl != 0) bank.used = i + 1;
    bank.state.dbg_regs[i].addr = known.dbg_regs[i].addr;
  }
  return bank.used == 0 ? 0 : put(tid, bank);
}

// How far `address` is from the bytes of an enabled watchpoint; nullopt: it is not enabled.
std::optional<std::uint64_t> distance(const user_hwdebug_state& state, std::size_t at,
                                      std::uint64_t address) {
  const auto watchpoint =
      arm64::decode(arm64::WatchpointPair{state.dbg_regs[at].addr, state.dbg_regs[at].ctrl});
  if (!watchpoint) return std::nullopt;
  const std::uint64_t first = watchpoint->address.value();
  const std::uint64_t last = first + watchpoint->length.value - 1;
  if (address < first) return first - address;
  return address > last ? address - last : 0;
}

// The CPU may report an address before the watched bytes, as long as the access reaches them (Arm
// ARM, D2.10.5): then the nearest one is the kernel's answer, and ours.
std::uint32_t fired_watchpoints(const user_hwdebug_state& state, std::uint64_t address) {
  std::uint32_t nearest = 0;
  std::uint64_t least = ~std::uint64_t{0};
  for (std::size_t i = 0; i < kMostRegisters; ++i) {
    const auto away = distance(state, i, address);
    if (!away || *away > least) continue;
    nearest = *away == least ? nearest : 0;
    nearest |= std::uint32_t{1} << i;
    least = *away;
  }
  return nearest;
}

std::uint32_t fired_breakpoints(const user_hwdebug_state& state, std::uint64_t address) {
  std::uint32_t fired = 0;
  for (std::size_t i = 0; i < kMostRegisters; ++i) {
    const auto breakpoint =
        arm64::decode(arm64::BreakpointPair{state.dbg_regs[i].addr, state.dbg_regs[i].ctrl});
    if (breakpoint && breakpoint->address.value() == address) fired |= std::uint32_t{1} << i;
  }
  return fired;
}

}  // namespace

std::expected<void, Error> write_debug_registers(ThreadId tid, std::span<const SlotRequest> slots,
                                                 std::span<const SlotIndex> registers) {
  Bank watch = watchpoints();
  Bank code = breakpoints();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto encoded = encode_slot(slots[i], registers[i].value, watch, code);
    if (!encoded) return encoded;
  }
  // Disabled first: a tracer that died may have left some enabled.
  auto written = clear_debug_registers(tid);
  for (Bank* bank : {&watch, &code}) {
    if (!written || bank->used == 0) continue;
    if (const int error = put(tid, *bank); error != 0) written = std::unexpected(error_of(error));
  }
  // The first failure is the one to report.
  if (!written) std::ignore = clear_debug_registers(tid);
  return written;
}

std::expected<void, Error> clear_debug_registers(ThreadId tid) {
  for (const Bank& bank : {watchpoints(), breakpoints()}) {
    if (const int error = disable_all(tid, bank); error != 0)
      return std::unexpected(error_of(error));
  }
  return {};
}

std::uint32_t take_fired_registers(ThreadId tid) {
  const auto info = signal_info(tid);
  if (!info || info->si_signo != SIGTRAP || info->si_code != TRAP_HWBKPT) return 0;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  user_hwdebug_state state{};
  // A breakpoint's signal names the instruction itself.
  const auto registers = read_user_registers(tid);
  if (registers && registers->get(Arm64Register::pc) == address &&
      read_regset(tid, NT_ARM_HW_BREAK, &state, sizeof state) == 0) {
    if (const std::uint32_t fired = fired_breakpoints(state, address); fired != 0) return fired;
  }
  state = {};
  if (read_regset(tid, NT_ARM_HW_WATCH, &state, sizeof state) != 0) return 0;
  return fired_watchpoints(state, address);
}

std::expected<UserRegisters, Error> read_user_registers(ThreadId tid) {
  user_regs_struct raw{};
  if (const int error = read_regset(tid, NT_PRSTATUS, &raw, sizeof raw); error != 0)
    return std::unexpected(error_of(error));
  UserRegisters registers;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(Arm64Register::lr); ++i)
    registers.set(i, raw.regs[i]);
  registers.set(static_cast<std::size_t>(Arm64Register::sp), raw.sp);
  registers.set(static_cast<std::size_t>(Arm64Register::pc), raw.pc);
  return registers;
}

FrameRegisters frame_registers(const UserRegisters& registers) {
  return {.instruction = registers.get(Arm64Register::pc),
          .stack = registers.get(Arm64Register::sp),
          .frame = registers.get(Arm64Register::fp),
          .link = registers.get(Arm64Register::lr)};
}

RemoteAddress code_address(RemoteAddress entry) {
  return entry;
}

std::uint64_t with_breakpoint(std::uint64_t original, RemoteAddress /*entry*/) {
  constexpr std::uint64_t kFirstInstruction = 0xffffffff;
  return (original & ~kFirstInstruction) | kBreak;
}

// BRK leaves the program counter at itself.
bool rewind_breakpoint(ThreadId tid, RemoteAddress entry) {
  const auto registers = read_user_registers(tid);
  return registers && registers->get(Arm64Register::pc) == entry.value();
}

}  // namespace trapline::linux_port
