#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <tuple>

#include "ports/linux/native_architecture.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/ptrace_failure.h"
#include "ports/linux/ptrace_step.h"
#include "ports/linux/ptrace_thread.h"
#include "ports/linux/self_test.h"
#include "trapline/watch/slot_table.h"

namespace trapline::linux_port {
namespace {

// The second only traps if the child has been taken over the first.
constexpr unsigned kStores = 2;

// The child writes it; forked, it lies at the same address there.
volatile std::uint64_t private_variable = 0;

[[noreturn]] void run_child() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::raise(SIGSTOP);
  for (std::uint64_t value = 1; value <= kStores; ++value) private_variable = value;
  ::_exit(0);
}

// The forked child: killed and reaped if it has not ended by itself.
class Child {
 public:
  explicit Child(ThreadId tid) : tid_(tid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!ended_) ::kill(tid_.value, SIGKILL);
    while (!ended_) std::ignore = wait();
  }

  [[nodiscard]] ThreadId tid() const { return tid_; }

  // Its next stop or end, as waitpid gives it.
  [[nodiscard]] int wait() {
    int status = 0;
    while (::waitpid(tid_.value, &status, __WALL | WUNTRACED) < 0 && errno == EINTR) {
    }
    ended_ = !WIFSTOPPED(status);
    return status;
  }

 private:
  ThreadId tid_;
  bool ended_ = false;
};

// Seized and stopped, ready to be given registers.
Result<void> seize_stopped(Child& child) {
  std::ignore = child.wait();
  if (const int error = seize(child.tid(), PTRACE_O_EXITKILL); error != 0)
    return std::unexpected(explain_seize_failure(ProcessId{child.tid().value}, error));
  interrupt(child.tid());
  std::ignore = child.wait();
  return {};
}

// Its registers, again and again.
struct Registers {
  const Plan& plan;
  const Reservation& reservation;

  [[nodiscard]] std::expected<void, Error> write(ThreadId tid) const {
    return write_debug_registers(tid, plan.slots(), reservation.registers());
  }
};

// Lets the child run on from a trap: over the access, where the trap came before it.
std::expected<void, Error> run_on(Child& child, PtraceStep& step, bool traps_before) {
  if (traps_before) {
    std::ignore = clear_debug_registers(child.tid());
    return step.begin(child.tid());
  }
  resume(child.tid(), 0);
  return {};
}

// Runs the child to its end; how many of its stores trapped. Errors: as of write_debug_registers.
std::expected<unsigned, Error> run_to_end(Child& child, const Registers& registers) {
  const bool traps_before = native_debug_architecture().traps_before_access;
  PtraceStep step;
  unsigned fired = 0;
  bool is_stepping = false;
  ::kill(child.tid().value, SIGCONT);
  resume(child.tid(), 0);
  while (true) {
    const int status = child.wait();
    if (!WIFSTOPPED(status)) return fired;
    const bool is_event = status >> 16 != 0;
    const bool is_trap = !is_event && WSTOPSIG(status) == SIGTRAP;
    if (is_stepping) {
      const auto end = step.end_at({.tid = child.tid(),
                                    .kind = is_event ? StopKind::trap : StopKind::signal,
                                    .signal = WSTOPSIG(status),
                                    .wait_status = status});
      if (!end) continue;
      is_stepping = false;
      if (auto written = registers.write(child.tid()); !written)
        return std::unexpected(written.error());
    } else if (is_trap && take_fired_registers(child.tid()) != 0) {
      ++fired;
      is_stepping = traps_before;
      if (auto running = run_on(child, step, traps_before); !running)
        return std::unexpected(running.error());
      continue;
    }
    resume(child.tid(), is_event || is_trap ? 0 : WSTOPSIG(status));
  }
}

Result<void> test_child(Child& child) {
  const DebugArchitecture machine = native_debug_architecture();
  // Every architecture can tell one of these (Arm before v8 debug: only read_write).
  const Access access =
      machine.accesses.contains(Access::write) ? Access::write : Access::read_write;
  SlotTable slots(machine);
  const auto plan = make_plan({.address = RemoteAddress::of_local(&private_variable),
                               .length = ByteCount{4},
                               .access = access},
                              machine);
  const auto reservation = plan ? slots.reserve(*plan)
                                : std::expected<Reservation, Error>(std::unexpected(plan.error()));
  if (!reservation)
    return fail(ErrorCode::not_supported, "this machine has no debug register for data");
  if (auto seized = seize_stopped(child); !seized) return seized;
  const Registers registers{.plan = *plan, .reservation = *reservation};
  const auto written = registers.write(child.tid());
  const auto fired = written ? run_to_end(child, registers) : std::unexpected(written.error());
  if (!fired) {
    return std::unexpected(
        explain_register_failure(ProcessId{child.tid().value}, child.tid(), fired.error()));
  }
  if (*fired == kStores) return {};
  if (*fired != 0)
    return fail(ErrorCode::not_supported,
                "only the first of two writes stopped a traced process here: a thread cannot be "
                "taken over the access; use --collector perf, and please report this");
  return fail(ErrorCode::no_hardware,
              "the debug registers of this machine accept a value and never fire: its hypervisor "
              "does not virtualise them; run trapline on the host or another machine");
}

}  // namespace

Result<void> self_test_ptrace() {
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(ErrorCode::limit_reached, "no more processes are allowed; see ulimit -u", errno);
  if (pid == 0) run_child();
  Child child(ThreadId{pid});
  return test_child(child);
}

}  // namespace trapline::linux_port
