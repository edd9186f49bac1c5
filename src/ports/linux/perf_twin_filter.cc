#include "ports/linux/perf_twin_filter.h"

#include <algorithm>
#include <utility>

namespace trapline::linux_port {

void PerfTwinFilter::add(std::uint64_t id, std::uint32_t place, bool suspect) {
  events_.emplace(id, Event{place, suspect ? State::suspect : State::needed});
  if (suspect) ++suspects_;
}

bool PerfTwinFilter::is_suspect(std::uint64_t id) const {
  const auto found = events_.find(id);
  return found != events_.end() && found->second.state == State::suspect;
}

bool PerfTwinFilter::is_redundant(std::uint64_t id) const {
  const auto found = events_.find(id);
  return found != events_.end() && found->second.state == State::redundant;
}

bool PerfTwinFilter::is_double(const Trap& trap, std::span<const Trap> neighbours, bool complete) {
  const auto found = events_.find(trap.id);
  if (found == events_.end()) return false;
  Event& event = found->second;
  if (event.state != State::suspect) return event.state == State::redundant;

  const auto is_older_twin = [&](const Trap& neighbour) {
    if (neighbour.tid != trap.tid || neighbour.id >= trap.id) return false;
    const auto other = events_.find(neighbour.id);
    return other != events_.end() && other->second.place == event.place;
  };
  if (std::any_of(neighbours.begin(), neighbours.end(), is_older_twin)) {
    settle(event, State::redundant);
    newly_redundant_.push_back(trap.id);
    return true;
  }
  if (complete) settle(event, State::needed);
  return false;
}

std::vector<std::uint64_t> PerfTwinFilter::take_redundant() {
  return std::exchange(newly_redundant_, {});
}

void PerfTwinFilter::settle(Event& event, State state) {
  event.state = state;
  --suspects_;
}

}  // namespace trapline::linux_port
