#include "ports/linux/perf_event_set.h"

#include <algorithm>
#include <utility>

namespace trapline::linux_port {

std::expected<void, int> PerfEventSet::open_one(ThreadId tid, std::size_t cpu, std::size_t slot,
                                                bool late, PerfTwinFilter& filter) {
  auto event = PerfEvent::open(attributes_[slot], tid, rings_.cpus()[cpu]);
  if (!event) return std::unexpected(event.error());
  if (auto redirected = event->redirect_to(rings_.owner(cpu)); !redirected) return redirected;
  if (auto enabled = event->enable(); !enabled) return enabled;
  filter.add(event->id(), static_cast<std::uint32_t>(slot * rings_.cpus().size() + cpu), late);
  events_.push_back(*std::move(event));
  return {};
}

std::expected<ThreadEvents::Opened, ThreadEvents::OpenError> PerfEventSet::add_thread(
    ThreadId tid, bool late, PerfTwinFilter& filter) {
  return open_thread_events(
      attributes_.size(), rings_.cpus().size(), late,
      [&](std::size_t slot, std::size_t cpu) { return open_one(tid, cpu, slot, late, filter); });
}

void PerfEventSet::close(std::uint64_t id) {
  std::erase_if(events_, [id](const PerfEvent& event) { return event.id() == id; });
}

void PerfEventSet::disable() {
  std::for_each(events_.rbegin(), events_.rend(), [](const PerfEvent& event) { event.disable(); });
}

bool PerfEventSet::is_hung_up() const {
  return std::all_of(events_.begin(), events_.end(),
                     [](const PerfEvent& event) { return event.is_hung_up(); });
}

}  // namespace trapline::linux_port
