#include <cstdint>

#include "ports/linux/self_test.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

// A word of its own, so that nothing but the test writes to it. Not atomic: unoptimized, that store
// is an exchange, which QEMU 7.2 does not always tell.
alignas(8) thread_local volatile std::uint64_t probed_word = 0;

}  // namespace

Result<void> self_test_perf() {
  const SlotRequest slot{.address = RemoteAddress::of_local(&probed_word),
                         .length = ByteCount{sizeof probed_word},
                         .access = Access::write};
  const auto event = open_self_watch(slot);
  if (!event) return std::unexpected(event.error());
  if (auto enabled = enable_self_watch(*event); !enabled) return enabled;
  probed_word = 1;
  event->disable();
  if (event->count().value_or(0) == 0) return fail_dead_registers();
  return {};
}

}  // namespace trapline::linux_port
