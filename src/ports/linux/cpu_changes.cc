#include "ports/linux/cpu_changes.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ports/linux/monotonic_clock.h"

namespace trapline::linux_port {
namespace {

using Kind = CpuChange::Kind;
using Completeness = UeventSocket::Completeness;

// How often to look before giving up. A look takes microseconds for each CPU, taking one down or up
// milliseconds, and the kernel does one at a time.
constexpr int kReadAttempts = 32;

class SystemEvidence final : public CpuEvidence {
 public:
  SystemEvidence(CpuFiles files, std::optional<UeventSocket> socket)
      : files_(std::move(files)), socket_(std::move(socket)) {}

  Completeness read_events(std::vector<CpuUevent>& received) override {
    return socket_ ? socket_->read_all(received) : Completeness::complete;
  }
  [[nodiscard]] std::uint64_t last_sequence() override {
    return socket_ ? last_uevent_sequence() : 0;
  }
  [[nodiscard]] std::expected<CpuSet, Error> online() override { return files_.online(); }
  [[nodiscard]] std::optional<CpuGeneration> generation(CpuId cpu) override {
    return files_.generation(cpu);
  }
  [[nodiscard]] Nanoseconds now() override { return monotonic_now(); }
  [[nodiscard]] std::optional<int> descriptor() const override {
    if (!socket_) return std::nullopt;
    return socket_->descriptor();
  }

 private:
  CpuFiles files_;
  std::optional<UeventSocket> socket_;
};

std::expected<CpuSnapshot, Error> look(CpuEvidence& evidence) {
  CpuSnapshot found;
  found.time = evidence.now();
  found.sequence = evidence.last_sequence();
  const auto online = evidence.online();
  if (!online) return std::unexpected(online.error());
  found.online = *online;
  found.online.for_each([&](CpuId cpu) {
    if (const auto generation = evidence.generation(cpu)) found.generations[cpu] = *generation;
  });
  // A generation is made before its CPU is online: it may belong to a life that has yet to begin.
  const auto still_online = evidence.online();
  if (!still_online) return std::unexpected(still_online.error());
  online->for_each([&](CpuId cpu) {
    if (still_online->contains(cpu)) return;
    found.online.erase(cpu);
    found.generations.erase(cpu);
  });
  return found;
}

// Looks until nothing is sent meanwhile. `meanwhile` gets what was.
std::expected<CpuSnapshot, Error> look_when_quiet(
    CpuEvidence& evidence, const std::function<void(std::span<const CpuUevent>)>& meanwhile) {
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    auto found = look(evidence);
    if (!found) return found;
    std::vector<CpuUevent> events;
    const auto completeness = evidence.read_events(events);
    if (completeness == Completeness::complete && events.empty()) return found;
    meanwhile(events);
  }
  return std::unexpected(Error{ErrorCode::interrupted});
}

std::optional<CpuGeneration> generation_in(const CpuSnapshot& found, CpuId cpu) {
  const auto entry = found.generations.find(cpu);
  if (entry == found.generations.end()) return std::nullopt;
  return entry->second;
}

}  // namespace

CpuChangeTracker::CpuChangeTracker(const CpuSnapshot& start)
    : has_generations_(!start.generations.empty()), contained_(start.sequence) {
  start.online.for_each([&](CpuId id) {
    if (!is_online(start, id)) return;
    Cpu& cpu = at(id);
    cpu.online = true;
    cpu.generation = generation_in(start, id);
    cpu.event_due = has_generations_;
  });
  bound_next_lives(start.time);
}

void CpuChangeTracker::on_uevent(const CpuUevent& event, std::optional<CpuGeneration> current,
                                 Nanoseconds now, std::vector<CpuChange>& out) {
  if (event.sequence <= contained_) return;
  Cpu& cpu = at(event.cpu);
  const bool was_due = std::exchange(cpu.event_due, false);
  if (was_due && event.online == cpu.online) return;
  if (!event.online) {
    if (!cpu.online) return;
    // The kernel sends this before the CPU can be brought up again (drivers/base/core.c,
    // device_offline, under the device's lock).
    cpu.not_before = std::max(cpu.not_before, events_read_);
    cpu.online = false;
    out.push_back({event.cpu, Kind::went_offline, now, std::nullopt, false});
    return;
  }
  if (cpu.online) {
    if (current.has_value() && current == cpu.generation) return;
    out.push_back({event.cpu, Kind::went_offline, now, std::nullopt, true});
  }
  cpu.online = true;
  cpu.generation = current;
  out.push_back({event.cpu, Kind::came_online, now, cpu.not_before, false});
}

void CpuChangeTracker::events_are_read(Nanoseconds moment) {
  events_read_ = std::max(events_read_, std::optional(moment));
}

void CpuChangeTracker::reconcile(const CpuSnapshot& found, Nanoseconds now,
                                 std::vector<CpuChange>& out) {
  contained_ = std::max(contained_, found.sequence);
  found.online.for_each([&](CpuId id) { at(id); });
  for (std::uint32_t number = 0; number < cpus_.size(); ++number) {
    const CpuId id{number};
    reconcile_one(id, is_online(found, id), generation_in(found, id), now, out);
  }
  bound_next_lives(found.time);
}

void CpuChangeTracker::reconcile_one(CpuId id, bool online, std::optional<CpuGeneration> current,
                                     Nanoseconds now, std::vector<CpuChange>& out) {
  Cpu& cpu = at(id);
  // If the event of this state has come before, the next is of the other kind, and news. Without
  // generations, one of the same kind would be all that tells of a life whose end was lost.
  if (has_generations_ || cpu.online != online) cpu.event_due = true;
  if (cpu.online && (!online || current != cpu.generation)) {
    cpu.online = false;
    out.push_back({id, Kind::went_offline, now, std::nullopt, true});
  }
  if (!cpu.online && online) {
    cpu.online = true;
    cpu.generation = current;
    out.push_back({id, Kind::came_online, now, cpu.not_before, true});
  }
}

// Those that begin after `moment`. An online CPU whose generation is not known may be in a later
// life already.
void CpuChangeTracker::bound_next_lives(Nanoseconds moment) {
  for (Cpu& cpu : cpus_) {
    if (!cpu.online || cpu.generation) cpu.not_before = moment;
  }
  unseen_.not_before = moment;
}

bool CpuChangeTracker::is_online(const CpuSnapshot& found, CpuId cpu) const {
  return found.online.contains(cpu) && (!has_generations_ || found.generations.contains(cpu));
}

CpuSet CpuChangeTracker::online() const {
  CpuSet online;
  for (std::uint32_t number = 0; number < cpus_.size(); ++number) {
    if (cpus_[number].online) online.insert(CpuId{number});
  }
  return online;
}

CpuChangeTracker::Cpu& CpuChangeTracker::at(CpuId cpu) {
  if (cpu.value >= cpus_.size()) cpus_.resize(cpu.value + std::size_t{1}, unseen_);
  return cpus_[cpu.value];
}

std::expected<CpuChangeSource, Error> CpuChangeSource::open(CpuFiles files, Events events) {
  std::optional<UeventSocket> socket;
  if (events == Events::listen) {
    if (auto opened = UeventSocket::open()) socket = *std::move(opened);
  }
  return open_on(std::make_unique<SystemEvidence>(std::move(files), std::move(socket)));
}

std::expected<CpuChangeSource, Error> CpuChangeSource::open_on(
    std::unique_ptr<CpuEvidence> evidence) {
  const auto start = look_when_quiet(*evidence, [](std::span<const CpuUevent>) {});
  if (!start) return std::unexpected(start.error());
  return CpuChangeSource(std::move(evidence), *start);
}

std::expected<void, Error> CpuChangeSource::collect(std::vector<CpuChange>& changes,
                                                    bool reconcile_now) {
  const Nanoseconds before = evidence_->now();
  std::vector<CpuUevent> waiting;
  const auto completeness = evidence_->read_events(waiting);
  follow(waiting, changes);
  tracker_.events_are_read(before);
  // A look after an event sharpens `earliest` and finds what else has changed.
  reconcile_due_ =
      reconcile_due_ || reconcile_now || !waiting.empty() || completeness == Completeness::overrun;
  if (!reconcile_due_) return {};
  const auto found = look_when_quiet(
      *evidence_, [&](std::span<const CpuUevent> events) { follow(events, changes); });
  if (!found) return std::unexpected(found.error());
  tracker_.reconcile(*found, evidence_->now(), changes);
  reconcile_due_ = false;
  return {};
}

void CpuChangeSource::follow(std::span<const CpuUevent> events, std::vector<CpuChange>& changes) {
  for (const CpuUevent& event : events) {
    const auto generation = evidence_->generation(event.cpu);
    tracker_.on_uevent(event, generation, evidence_->now(), changes);
  }
}

}  // namespace trapline::linux_port
