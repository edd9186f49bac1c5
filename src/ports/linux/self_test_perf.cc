#include <atomic>
#include <cstdint>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "ports/linux/ptrace_step.h"
#include "ports/linux/self_test.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

// A word of its own, so that nothing but the test writes to it. Not atomic: unoptimized, that store
// is an exchange, which QEMU 7.2 does not always tell.
alignas(8) thread_local volatile std::uint32_t probed_word = 0;

// The same, for atomic operations.
alignas(8) thread_local std::atomic<std::uint32_t> probed_atomic = 0;

// A watch of such a word, by this thread.
Result<PerfEvent> watch_word(const volatile void* word) {
  const SlotRequest slot{.address = RemoteAddress::of_local(word),
                         .length = ByteCount{sizeof probed_word},
                         .access = Access::write};
  auto event = open_self_watch(slot);
  if (!event) return event;
  if (auto enabled = enable_self_watch(*event); !enabled)
    return std::unexpected(std::move(enabled.error()));
  return event;
}

// How many of this many stores are hits.
Result<std::uint64_t> count_hits(std::uint32_t stores) {
  const auto event = watch_word(&probed_word);
  if (!event) return std::unexpected(event.error());
  for (std::uint32_t value = 1; value <= stores; ++value) probed_word = value;
  event->disable();
  return event->count().value_or(0);
}

bool try_two_hits() {
  constexpr std::uint32_t kStores = 2;
  const auto hits = count_hits(kStores);
  return !hits || *hits != 1;
}

// By single tries: where each traps between its load and its store, none succeeds.
bool try_atomic_operation() {
  constexpr int kTries = 100;
  const auto event = watch_word(&probed_atomic);
  if (!event) return true;
  std::uint32_t value = probed_atomic.load(std::memory_order_relaxed);
  bool has_succeeded = false;
  for (int i = 0; i < kTries && !has_succeeded; ++i)
    has_succeeded =
        probed_atomic.compare_exchange_weak(value, value + 1, std::memory_order_relaxed);
  event->disable();
  return has_succeeded;
}

// Whether a loop that does an atomic operation ends while its variable is watched.
bool perf_ends_exclusive_loops() {
  if (!native_debug_architecture().traps_before_access) return true;
  static const bool ends = try_atomic_operation();
  return ends;
}

}  // namespace

Result<void> self_test_perf() {
  const auto hits = count_hits(1);
  if (!hits) return std::unexpected(hits.error());
  if (*hits == 0) return fail_dead_registers();
  return {};
}

bool perf_steps_over_hits() {
  if (!native_debug_architecture().traps_before_access) return true;
  static const bool steps = try_two_hits();
  return steps;
}

std::string perf_drawback() {
  if (!perf_steps_over_hits())
    return "here it reports one access and then none until trapline has seen that one and set the "
           "watch again: the kernel cannot step over the access (this CPU or emulator has no "
           "mismatch breakpoints)";
  // Only where there is something better.
  if (PtraceStep::ends_exclusive_loops() && !perf_ends_exclusive_loops())
    return "here a program's atomic operations on a watched variable never end: each hit makes the "
           "exclusive store fail, and its loop try again";
  return "";
}

}  // namespace trapline::linux_port
