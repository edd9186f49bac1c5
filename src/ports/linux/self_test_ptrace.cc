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
#include "ports/linux/ptrace_thread.h"
#include "ports/linux/self_test.h"
#include "trapline/watch/slot_table.h"

namespace trapline::linux_port {
namespace {

// The child writes it; forked, it lies at the same address there.
volatile std::uint64_t private_variable = 0;

[[noreturn]] void run_child() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::raise(SIGSTOP);
  private_variable = 1;
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

// Runs the child to its end; whether its write trapped.
bool run_to_end(Child& child) {
  bool fired = false;
  ::kill(child.tid().value, SIGCONT);
  resume(child.tid(), 0);
  while (true) {
    const int status = child.wait();
    if (!WIFSTOPPED(status)) return fired;
    const bool is_event = status >> 16 != 0;
    const bool is_trap = !is_event && WSTOPSIG(status) == SIGTRAP;
    if (is_trap && take_fired_registers(child.tid()) != 0) {
      fired = true;
      // Where the trap comes before the access, it would come again and again.
      std::ignore = clear_debug_registers(child.tid());
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
  const auto written = write_debug_registers(child.tid(), plan->slots(), reservation->registers());
  if (!written) {
    return std::unexpected(
        explain_register_failure(ProcessId{child.tid().value}, child.tid(), written.error()));
  }
  if (run_to_end(child)) return {};
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
