#include <cstdint>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "ports/linux/self_test.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

// A word of its own, so that nothing but the test writes to it. Not atomic: unoptimized, that store
// is an exchange, which QEMU 7.2 does not always tell.
alignas(8) thread_local volatile std::uint32_t probed_word = 0;

// How many of this many stores are hits.
Result<std::uint64_t> count_hits(std::uint32_t stores) {
  const SlotRequest slot{.address = RemoteAddress::of_local(&probed_word),
                         .length = ByteCount{sizeof probed_word},
                         .access = Access::write};
  const auto event = open_self_watch(slot);
  if (!event) return std::unexpected(event.error());
  if (auto enabled = enable_self_watch(*event); !enabled)
    return std::unexpected(std::move(enabled.error()));
  for (std::uint32_t value = 1; value <= stores; ++value)
    probed_word = value;
  event->disable();
  return event->count().value_or(0);
}

bool try_two_hits() {
  constexpr std::uint32_t kStores = 2;
  const auto hits = count_hits(kStores);
  return !hits || *hits != 1;
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
  if (perf_steps_over_hits()) return "";
  return "here it reports one access and then none until trapline has seen that one and set the "
         "watch again: the kernel cannot step over the access (this CPU or emulator has no "
         "mismatch breakpoints)";
}

}  // namespace trapline::linux_port
