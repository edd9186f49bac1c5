#include "ports/linux/perf_cpu_watch.h"

#include <cerrno>
#include <tuple>
#include <utility>

namespace trapline::linux_port {
namespace {

ErrorCode code_of(int error) {
  switch (error) {
    case ENOSPC:
      return ErrorCode::no_free_slot;
    case EACCES:
    case EPERM:
      return ErrorCode::permission_denied;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::limit_reached;
    default:
      return ErrorCode::os_failure;
  }
}

}  // namespace

std::expected<std::vector<PerfEvent>, PerfCpuWatch::Refusal> PerfCpuWatch::open_all(
    CpuId cpu) const {
  std::vector<PerfEvent> opened;
  for (std::size_t slot = 0; slot < attributes_.size(); ++slot) {
    auto event = PerfEvent::open_on_cpu(attributes_[slot], cpu);
    if (!event) return std::unexpected(Refusal{event.error(), slot});
    if (const auto connected = connect_(*event, cpu); !connected)
      return std::unexpected(Refusal{connected.error(), slot});
    opened.push_back(*std::move(event));
  }
  // A CPU that has gone meanwhile does not make enabling fail: its event is told to come.
  for (std::size_t slot = 0; slot < opened.size(); ++slot) {
    if (const auto enabled = opened[slot].enable(); !enabled)
      return std::unexpected(Refusal{enabled.error(), slot});
  }
  return opened;
}

std::expected<void, Error> PerfCpuWatch::install(const hotplug::CallbackContext& context) {
  const std::lock_guard lock(mutex_);
  const auto opened = open(context.cpu);
  if (opened || tolerates_refusals_) return {};
  return std::unexpected(Error{code_of(opened.error().error), opened.error().error});
}

std::expected<void, PerfCpuWatch::Refusal> PerfCpuWatch::open(CpuId cpu) {
  auto opened = open_all(cpu);
  if (!opened) {
    refusals_.insert_or_assign(cpu, opened.error());
    return std::unexpected(opened.error());
  }
  events_.insert_or_assign(cpu, *std::move(opened));
  return {};
}

std::expected<void, Error> PerfCpuWatch::remove(const hotplug::CallbackContext& context) {
  const std::lock_guard lock(mutex_);
  close(context.cpu);
  return {};
}

void PerfCpuWatch::close(CpuId cpu) {
  refusals_.erase(cpu);
  const auto found = events_.find(cpu);
  if (found == events_.end()) return;
  // Counts are final only when the events have stopped.
  for (const PerfEvent& event : found->second) event.disable();
  for (const PerfEvent& event : found->second) ended_.add(event.count());
  events_.erase(found);
}

void PerfCpuWatch::tolerate_refusals() {
  const std::lock_guard lock(mutex_);
  tolerates_refusals_ = true;
}

std::map<CpuId, PerfCpuWatch::Refusal> PerfCpuWatch::refusals() const {
  const std::lock_guard lock(mutex_);
  return refusals_;
}

void PerfCpuWatch::reopen(CpuId cpu) {
  const std::lock_guard lock(mutex_);
  // First: a dead event keeps its debug register taken.
  close(cpu);
  std::ignore = open(cpu);
}

std::map<CpuId, Nanoseconds> PerfCpuWatch::enabled_times() const {
  const std::lock_guard lock(mutex_);
  std::map<CpuId, Nanoseconds> times;
  for (const auto& [cpu, events] : events_) {
    if (const auto time = events.front().enabled_time()) times.emplace(cpu, *time);
  }
  return times;
}

PerfHitTotal PerfCpuWatch::total() const {
  const std::lock_guard lock(mutex_);
  PerfHitTotal total = ended_;
  for (const auto& [cpu, events] : events_) {
    for (const PerfEvent& event : events) total.add(event.count());
  }
  return total;
}

}  // namespace trapline::linux_port
