#include "ports/linux/armv7/debug_pairs.h"

#include <sys/ptrace.h>

#include <cerrno>

#include "ports/linux/ptrace_thread.h"
#include "ports/linux/traced_child.h"
#include "regs/armv7/debug_registers.h"

namespace trapline::linux_port {
namespace {

constexpr long kResources = 0;

long address_number(const DebugPair& pair) {
  const long first = static_cast<long>(2 * pair.index + 1);
  return pair.code ? first : -first;
}

long control_number(const DebugPair& pair) {
  return address_number(pair) + (pair.code ? 1 : -1);
}

int put_word(ThreadId tid, long number, std::uint32_t word) {
  return ::ptrace(PTRACE_SETHBPREGS, tid.value, number, &word) == 0 ? 0 : errno;
}

// 0 as well for one that was never set.
std::uint32_t get_word(ThreadId tid, long number) {
  std::uint32_t word = 0;
  return ::ptrace(PTRACE_GETHBPREGS, tid.value, number, &word) == 0 ? word : 0;
}

DebugResources ask_the_kernel() {
  const TracedChild child;
  if (child.tid().value == 0) return {};
  const std::uint32_t word = get_word(child.tid(), kResources);
  return {.breakpoints = static_cast<std::uint8_t>(word),
          .watchpoints = static_cast<std::uint8_t>(word >> 8),
          .longest = static_cast<std::uint8_t>(word >> 16)};
}

}  // namespace

DebugResources debug_resources() {
  static const DebugResources known = ask_the_kernel();
  return known;
}

std::uint32_t breakpoint_control(bool is_thumb) {
  namespace armv7 = regs::armv7;
  const auto pair = armv7::encode(
      armv7::Breakpoint{.address = RemoteAddress(0),
                        .set = is_thumb ? armv7::InstructionSet::thumb : armv7::InstructionSet::arm,
                        .privilege = armv7::Privilege::user});
  return pair->control;  // at this address nothing is misaligned
}

std::expected<void, Error> put_pair(ThreadId tid, const DebugPair& pair, std::uint32_t address,
                                    std::uint32_t control) {
  // The kernel judges each word together with what the other holds: an aligned address goes with
  // any length, so it comes before the length, and the one that is meant after it.
  constexpr std::uint32_t kWindow = 8;
  int error = put_word(tid, address_number(pair), address & ~(kWindow - 1));
  if (error == 0) error = put_word(tid, control_number(pair), control);
  if (error == 0) error = put_word(tid, address_number(pair), address);
  if (error != 0) return std::unexpected(error_of_pair(error));
  return {};
}

std::expected<void, Error> disable_pair(ThreadId tid, const DebugPair& pair) {
  constexpr std::uint32_t kEnable = 1;
  const std::uint32_t control = get_word(tid, control_number(pair));
  if ((control & kEnable) == 0) return {};
  const int error = put_word(tid, control_number(pair), control & ~kEnable);
  if (error != 0) return std::unexpected(error_of_pair(error));
  return {};
}

std::optional<DebugPair> fired_pair(const siginfo_t& info) {
  const bool is_hit = info.si_signo == SIGTRAP && info.si_code == TRAP_HWBKPT;
  if (!is_hit || info.si_errno == 0) return std::nullopt;
  const bool code = info.si_errno > 0;
  const int number = code ? info.si_errno : -info.si_errno;
  return DebugPair{.code = code, .index = static_cast<std::size_t>(number - 1) / 2};
}

Error error_of_pair(int error) {
  return error_of_registers(error, error == EINVAL ? ErrorCode::bad_length : ErrorCode::os_failure);
}

}  // namespace trapline::linux_port
