// Armv7: general registers through regsets. Its kernels report a watchpoint before the access and
// have no single step for tracers (arch/arm defines no arch_has_single_step), so no thread could be
// taken over the access: ptrace watches nothing here. What starts a command under ptrace is here
// all the same.
#include "ports/linux/ptrace_arch.h"

#include <elf.h>
#include <sys/user.h>

#include <cerrno>
#include <cstddef>

#include "ports/linux/ptrace_thread.h"

namespace trapline::linux_port {
namespace {

// An undefined instruction of Thumb (UDF #1), twice, that Linux keeps for breakpoints
// (arch/arm/kernel/ptrace.c, thumb_break_hook) and its kin of ARM (arm_break_hook).
constexpr std::uint32_t kThumbBreak = 0xde01;
constexpr std::uint32_t kArmBreak = 0xe7f001f0;
constexpr std::uint64_t kThumbBit = 1;

Error error_of(int error) {
  return {error == ESRCH ? ErrorCode::target_gone : ErrorCode::os_failure, error};
}

}  // namespace

std::expected<void, Error> write_debug_registers(ThreadId /*tid*/,
                                                 std::span<const SlotRequest> /*slots*/,
                                                 std::span<const SlotIndex> /*registers*/) {
  return std::unexpected(Error{ErrorCode::not_supported});
}

std::expected<void, Error> clear_debug_registers(ThreadId /*tid*/) {
  return {};  // nothing was set
}

std::uint32_t take_fired_registers(ThreadId /*tid*/) {
  return 0;
}

std::expected<UserRegisters, Error> read_user_registers(ThreadId tid) {
  user_regs raw{};
  if (const int error = read_regset(tid, NT_PRSTATUS, &raw, sizeof raw); error != 0)
    return std::unexpected(error_of(error));
  UserRegisters registers;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(ArmRegister::cpsr); ++i)
    registers.set(i, raw.uregs[i]);
  return registers;
}

FrameRegisters frame_registers(const UserRegisters& registers) {
  return {.instruction = registers.get(ArmRegister::pc),
          .stack = registers.get(ArmRegister::sp),
          .frame = registers.get(ArmRegister::fp),
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
