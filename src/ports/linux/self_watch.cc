#include "ports/linux/self_watch.h"

#include <unistd.h>

namespace trapline::linux_port {

std::expected<PerfEvent, int> try_self_watch(const SlotRequest& slot) {
  PerfEventOptions options;
  options.inheritance = Inheritance::none;
  options.kernel_accesses = false;
  options.has_inherit_thread = false;
  options.stack = StackMode::none;
  options.registers = false;
  // Without a CPU: this thread may be moved at any time.
  return PerfEvent::open(breakpoint_attributes(slot, options), ThreadId{0}, std::nullopt);
}

Result<PerfEvent> open_self_watch(const SlotRequest& slot) {
  auto event = try_self_watch(slot);
  if (event) return *std::move(event);
  return std::unexpected(
      explain_open_error(event.error(), OpenContext{.pid = ProcessId{::getpid()},
                                                    .tid = ThreadId{::gettid()},
                                                    .slot = slot,
                                                    .slots = 1,
                                                    .paranoid = perf_event_paranoid(),
                                                    .perf_works_on_oneself = false}));
}

Result<void> enable_self_watch(const PerfEvent& event) {
  const auto enabled = event.enable();
  if (enabled) return {};
  return fail(ErrorCode::os_failure,
              "the kernel does not switch on a watch of trapline's own memory; try --collector "
              "ptrace, and please report this",
              enabled.error());
}

std::unexpected<Failure> fail_dead_registers() {
  return fail(ErrorCode::no_hardware,
              "the debug registers of this machine accept a watch but never fire (a test write to "
              "trapline's own memory was not seen), as under some hypervisors and emulators; run "
              "on hardware or a virtual machine that provides them");
}

}  // namespace trapline::linux_port
