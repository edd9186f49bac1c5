#include "ports/linux/ptrace_step.h"

#include <csignal>

#include "ports/linux/ptrace_arch.h"

namespace trapline::linux_port {
namespace {

std::uint64_t address_of_instruction(ThreadId tid) {
  const auto registers = read_user_registers(tid);
  return registers ? frame_registers(*registers).instruction.value_or(0) : 0;
}

}  // namespace

bool PtraceStep::ends_exclusive_loops() {
  return false;
}

std::expected<void, Error> PtraceStep::begin(ThreadId tid) {
  from_ = address_of_instruction(tid);
  if (step(tid)) return {};
  return std::unexpected(Error{ErrorCode::not_supported});
}

std::optional<PtraceStep::End> PtraceStep::end_at(const ThreadStop& stop) {
  const auto info =
      stop.kind == StopKind::signal ? signal_info(stop.tid) : std::optional<siginfo_t>();
  return End{.has_run = address_of_instruction(stop.tid) != from_,
             .is_own_stop = info && info->si_signo == SIGTRAP && info->si_code == TRAP_TRACE};
}

}  // namespace trapline::linux_port
