#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "ports/linux/perf_event.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {
namespace {

// A word of its own, so that nothing but the test writes to it.
alignas(8) thread_local std::atomic<std::uint64_t> probed_word = 0;

}  // namespace

Result<void> self_test_perf() {
  const SlotRequest slot{.address = RemoteAddress::of_local(&probed_word),
                         .length = ByteCount{sizeof probed_word},
                         .access = Access::write};
  PerfEventOptions options;
  options.inheritance = Inheritance::none;
  options.kernel_accesses = false;
  options.has_inherit_thread = false;
  options.stack = StackMode::none;
  options.registers = false;
  // Without a CPU: this thread may be moved at any time.
  const auto event =
      PerfEvent::open(breakpoint_attributes(slot, options), ThreadId{0}, std::nullopt);
  if (!event) {
    return std::unexpected(
        explain_open_error(event.error(), OpenContext{.pid = ProcessId{::getpid()},
                                                      .tid = ThreadId{::gettid()},
                                                      .slot = slot,
                                                      .slots = 1,
                                                      .paranoid = perf_event_paranoid(),
                                                      .perf_works_on_oneself = false}));
  }
  if (const auto enabled = event->enable(); !enabled) {
    return fail(ErrorCode::os_failure,
                "the kernel does not switch on a watch of trapline's own memory; try --collector "
                "ptrace, and please report this",
                enabled.error());
  }
  probed_word.store(1, std::memory_order_relaxed);
  event->disable();
  if (event->count().value_or(0) == 0) {
    return fail(
        ErrorCode::no_hardware,
        "the debug registers of this machine accept a watch but never fire (a test write to "
        "trapline's own memory was not seen), as under some hypervisors and emulators; run "
        "on hardware or a virtual machine that provides them");
  }
  return {};
}

}  // namespace trapline::linux_port
