// x86-64: debug registers through the user area (sys/user.h, u_debugreg), general registers through
// PTRACE_GETREGS.
#include "ports/linux/ptrace_arch.h"

#include <sys/ptrace.h>
#include <sys/user.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <tuple>
#include <utility>

#include "ports/linux/ptrace_thread.h"
#include "regs/x86/debug_registers.h"

namespace trapline::linux_port {
namespace {

using regs::x86::DebugRegisters;
using regs::x86::Dr6;

constexpr std::size_t kStatusRegister = 6;
constexpr std::size_t kControlRegister = 7;
constexpr std::uint8_t kInt3 = 0xcc;  // SDM vol. 2, INT3

std::size_t offset_of(std::size_t debug_register) {
  return offsetof(struct user, u_debugreg) + debug_register * sizeof(user::u_debugreg[0]);
}

// 0, or the errno.
int poke(ThreadId tid, std::size_t debug_register, std::uint64_t value) {
  return ::ptrace(PTRACE_POKEUSER, tid.value, offset_of(debug_register), value) == 0 ? 0 : errno;
}

Error error_of(int error) {
  // arch/x86/kernel/ptrace.c: an address above the user half, or in the kernel's entry area.
  const bool is_bad_address = error == EINVAL || error == EIO;
  return error_of_registers(error,
                            is_bad_address ? ErrorCode::unreadable_memory : ErrorCode::os_failure);
}

std::expected<DebugRegisters, Error> encode(std::span<const SlotRequest> slots,
                                            std::span<const SlotIndex> registers) {
  DebugRegisters image;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    // In the hardware an execute slot is one byte long; the request's length is the kernel's
    // convention.
    const ByteCount length = slots[i].access == Access::execute ? ByteCount{1} : slots[i].length;
    const auto set = image.set(registers[i], {slots[i].address, length, slots[i].access});
    if (!set) return std::unexpected(set.error());
  }
  return image;
}

}  // namespace

std::expected<void, Error> write_debug_registers(ThreadId tid, std::span<const SlotRequest> slots,
                                                 std::span<const SlotIndex> registers) {
  const auto image = encode(slots, registers);
  if (!image) return std::unexpected(image.error());
  // Disabled first: an address may not be moved under a live length it does not fit, and a tracer
  // that died may have left some enabled.
  int error = poke(tid, kControlRegister, 0);
  for (std::size_t i = 0; error == 0 && i < registers.size(); ++i)
    error = poke(tid, registers[i].value, image->address(registers[i]));
  if (error == 0) error = poke(tid, kControlRegister, image->dr7());
  if (error == 0) return {};
  // The first failure is the one to report.
  std::ignore = clear_debug_registers(tid);
  return std::unexpected(error_of(error));
}

std::expected<void, Error> clear_debug_registers(ThreadId tid) {
  const int error = poke(tid, kControlRegister, 0);
  if (error != 0) return std::unexpected(error_of(error));
  return {};
}

std::uint32_t take_fired_registers(ThreadId tid) {
  errno = 0;
  const long status = ::ptrace(PTRACE_PEEKUSER, tid.value, offset_of(kStatusRegister), nullptr);
  if (errno != 0) return 0;
  const Dr6 decoded = Dr6::decode(static_cast<std::uint64_t>(status));
  std::uint32_t fired = 0;
  for (std::size_t i = 0; i < decoded.hit.size(); ++i) {
    if (decoded.hit[i]) fired |= std::uint32_t{1} << i;
  }
  if (fired != 0) poke(tid, kStatusRegister, 0);
  return fired;
}

std::expected<UserRegisters, Error> read_user_registers(ThreadId tid) {
  user_regs_struct raw{};
  if (::ptrace(PTRACE_GETREGS, tid.value, nullptr, &raw) != 0)
    return std::unexpected(error_of(errno));
  UserRegisters registers;
  const std::array<std::pair<X86Register, std::uint64_t>, 24> map = {{
      {X86Register::ax, raw.rax},       {X86Register::bx, raw.rbx},  {X86Register::cx, raw.rcx},
      {X86Register::dx, raw.rdx},       {X86Register::si, raw.rsi},  {X86Register::di, raw.rdi},
      {X86Register::bp, raw.rbp},       {X86Register::sp, raw.rsp},  {X86Register::ip, raw.rip},
      {X86Register::flags, raw.eflags}, {X86Register::cs, raw.cs},   {X86Register::ss, raw.ss},
      {X86Register::ds, raw.ds},        {X86Register::es, raw.es},   {X86Register::fs, raw.fs},
      {X86Register::gs, raw.gs},        {X86Register::r8, raw.r8},   {X86Register::r9, raw.r9},
      {X86Register::r10, raw.r10},      {X86Register::r11, raw.r11}, {X86Register::r12, raw.r12},
      {X86Register::r13, raw.r13},      {X86Register::r14, raw.r14}, {X86Register::r15, raw.r15},
  }};
  for (const auto& [name, value] : map) registers.set(static_cast<std::size_t>(name), value);
  return registers;
}

FrameRegisters frame_registers(const UserRegisters& registers) {
  return {.instruction = registers.get(X86Register::ip),
          .stack = registers.get(X86Register::sp),
          .frame = registers.get(X86Register::bp)};
}

RemoteAddress code_address(RemoteAddress entry) {
  return entry;
}

std::uint64_t with_breakpoint(std::uint64_t original, RemoteAddress /*entry*/) {
  constexpr std::uint64_t kFirstByte = 0xff;
  return (original & ~kFirstByte) | kInt3;
}

bool rewind_breakpoint(ThreadId tid, RemoteAddress entry) {
  user_regs_struct raw{};
  if (::ptrace(PTRACE_GETREGS, tid.value, nullptr, &raw) != 0) return false;
  if (raw.rip != entry.value() + 1) return false;  // int3 is one byte, and a trap
  raw.rip = entry.value();
  return ::ptrace(PTRACE_SETREGS, tid.value, nullptr, &raw) == 0;
}

}  // namespace trapline::linux_port
