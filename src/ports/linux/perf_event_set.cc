#include "ports/linux/perf_event_set.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace trapline::linux_port {

namespace {

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

Result<PerfEventSet> PerfEventSet::create(std::vector<CpuId> cpus, ByteCount ring_bytes) {
  PerfEventSet set;
  set.cpus_ = std::move(cpus);
  // A quarter: the reader comes by at intervals anyway, and this leaves it time when hits are many.
  const auto wakeup_bytes = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(ring_bytes.value / 4, 1, std::uint64_t{1} << 30));
  for (const CpuId cpu : set.cpus_) {
    auto owner = PerfEvent::open(ring_owner_attributes(wakeup_bytes), ThreadId{0}, cpu);
    if (!owner) return no_ring_owner(owner.error());
    auto ring = PerfRing::map(owner->descriptor(), ring_bytes);
    if (!ring) return no_ring(ring.error());
    // What one CPU could not have, the next cannot have either.
    ring_bytes = ring->size();
    set.owners_.push_back(*std::move(owner));
    set.rings_.push_back(*std::move(ring));
  }
  return set;
}

std::expected<void, int> PerfEventSet::open_one(ThreadId tid, std::size_t cpu, std::size_t slot,
                                                bool late, PerfTwinFilter& filter) {
  auto event = PerfEvent::open(attributes_[slot], tid, cpus_[cpu]);
  if (!event) return std::unexpected(event.error());
  if (auto redirected = event->redirect_to(owners_[cpu]); !redirected) return redirected;
  if (auto enabled = event->enable(); !enabled) return enabled;
  filter.add(event->id(), static_cast<std::uint32_t>(slot * cpus_.size() + cpu), late);
  events_.push_back(*std::move(event));
  return {};
}

std::expected<PerfEventSet::Opened, PerfEventSet::OpenError> PerfEventSet::add_thread(
    ThreadId tid, bool late, PerfTwinFilter& filter) {
  const std::size_t slots = attributes_.size();
  const std::size_t count = cpus_.size() * slots;
  Opened outcome = Opened::all;
  for (std::size_t i = 0; i < count; ++i) {
    // On each CPU a late thread has inherited the first p of the n slots, for some p. Others hold o
    // registers in every thread, and o + n registers there are, or the first threads would have
    // been refused. So filled from the other end it has room for at least the n - p that it lacks,
    // and what is refused after them is a double.
    const std::size_t index = late ? count - 1 - i : i;
    const std::size_t slot = index % slots;
    const auto opened = open_one(tid, index / slots, slot, late, filter);
    if (opened) continue;
    if (opened.error() == ESRCH) return Opened::thread_ended;
    if (!late || opened.error() != ENOSPC) return std::unexpected(OpenError{opened.error(), slot});
    outcome = Opened::doubles_refused;
  }
  return outcome;
}

void PerfEventSet::close(std::uint64_t id) {
  std::erase_if(events_, [id](const PerfEvent& event) { return event.id() == id; });
}

void PerfEventSet::disable() {
  std::for_each(events_.rbegin(), events_.rend(), [](const PerfEvent& event) { event.disable(); });
}

std::vector<int> PerfEventSet::ring_descriptors() const {
  std::vector<int> descriptors;
  descriptors.reserve(owners_.size());
  for (const PerfEvent& owner : owners_) descriptors.push_back(owner.descriptor());
  return descriptors;
}

bool PerfEventSet::is_hung_up() const {
  return std::all_of(events_.begin(), events_.end(),
                     [](const PerfEvent& event) { return event.is_hung_up(); });
}

}  // namespace trapline::linux_port
