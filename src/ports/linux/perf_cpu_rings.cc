#include "ports/linux/perf_cpu_rings.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace trapline::linux_port {
namespace {

// All CPUs together; the kernel allocates them at once.
constexpr std::uint64_t kMaxTotalBytes = std::uint64_t{256} << 20;

std::unexpected<Failure> no_ring_owner(int error) {
  OpenContext context;
  context.tid = ThreadId{::gettid()};
  context.paranoid = perf_event_paranoid();
  context.perf_works_on_oneself = false;
  return std::unexpected(explain_open_error(error, context));
}

std::unexpected<Failure> no_ring(int error) {
  return fail(ErrorCode::limit_reached,
              "the system allows no memory for perf's ring buffers (kernel.perf_event_mlock_kb); "
              "raise that, close other profilers of this user, or run as root",
              error);
}

}  // namespace

Result<PerfCpuRings> PerfCpuRings::create(const CpuSet& cpus, ByteCount ring_bytes) {
  PerfCpuRings made;
  cpus.for_each([&](CpuId cpu) { made.cpus_.push_back(cpu); });
  ring_bytes.value =
      std::min(ring_bytes.value,
               std::bit_floor(kMaxTotalBytes / std::max<std::size_t>(made.cpus_.size(), 1)));
  // A quarter: the reader comes by at intervals anyway, and this leaves it time when hits are many.
  const auto wakeup_bytes = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(ring_bytes.value / 4, 1, std::uint64_t{1} << 30));
  for (const CpuId cpu : made.cpus_) {
    auto owner = PerfEvent::open(ring_owner_attributes(wakeup_bytes), ThreadId{0}, cpu);
    if (!owner) return no_ring_owner(owner.error());
    auto ring = PerfRing::map(owner->descriptor(), ring_bytes);
    if (!ring) return no_ring(ring.error());
    // What one CPU could not have, the next cannot have either.
    ring_bytes = ring->size();
    made.owners_.push_back(*std::move(owner));
    made.rings_.push_back(*std::move(ring));
  }
  return made;
}

std::optional<std::size_t> PerfCpuRings::index_of(CpuId cpu) const {
  const auto found = std::lower_bound(cpus_.begin(), cpus_.end(), cpu);
  if (found == cpus_.end() || *found != cpu) return std::nullopt;
  return static_cast<std::size_t>(found - cpus_.begin());
}

std::vector<int> PerfCpuRings::descriptors() const {
  std::vector<int> descriptors;
  descriptors.reserve(owners_.size());
  for (const PerfEvent& owner : owners_) descriptors.push_back(owner.descriptor());
  return descriptors;
}

}  // namespace trapline::linux_port
