#include "ports/linux/cpu_event_queue.h"

#include <cerrno>
#include <string>
#include <utility>

#include "ports/linux/perf_event.h"
#include "ports/linux/slot_holders.h"

namespace trapline::linux_port {
namespace {

std::string with_holders(const std::string& sentence) {
  const std::string holders = describe_holders(find_slot_holders(std::nullopt));
  return sentence + (holders.empty() ? "" : " Seen on this machine: " + holders + ".");
}

Failure cannot_set_up(Error error) {
  return {error, "the watch cannot follow CPUs (" + std::string(name_of(error.code)) + ")"};
}

}  // namespace

Failure explain(const CpuObstacle& obstacle) {
  if (obstacle.no_state) return cannot_set_up(*obstacle.no_state);
  const auto& [cpu, refusal, plan, no_state] = obstacle;
  const std::string number = std::to_string(cpu.value);
  const std::string paranoid = std::to_string(perf_event_paranoid().value_or(0));
  switch (refusal.error) {
    case ENOSPC:
      return {{ErrorCode::no_free_slot, ENOSPC},
              with_holders("too few free debug registers on CPU " + number + ": the watch needs " +
                           std::to_string(plan.slots().size()) +
                           " on every CPU, beside the most that any one thread holds; close the "
                           "debugger or profiler that has them, or watch a process with -p PID.")};
    case EACCES:
    case EPERM:
      return {
          {ErrorCode::permission_denied, refusal.error},
          "watching the whole machine needs CAP_PERFMON, and CAP_SYS_ADMIN for a kernel address "
          "(kernel.perf_event_paranoid is " +
              paranoid + "): run as root, or watch a process of yours with -p PID"};
    case ENODEV:
      return {{ErrorCode::interrupted, ENODEV},
              "CPU " + number + " went offline before the watch could be set there"};
    default: {
      const OpenContext context{
          .pid = {},
          .tid = {},
          .slot = plan.slots().empty() ? SlotRequest{} : plan.slots()[refusal.slot],
          .slots = plan.slots().size(),
          .paranoid = perf_event_paranoid(),
          .perf_works_on_oneself = true};
      Failure failure = explain_open_error(refusal.error, context);
      failure.message = "CPU " + number + ": " + failure.message;
      return failure;
    }
  }
}

void CpuEventQueue::push(CpuEvent event, std::optional<CpuObstacle> obstacle) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({std::move(event), obstacle});
}

std::optional<CpuEvent> CpuEventQueue::pop(Nanoseconds until) {
  auto entry = pop_entry(until);
  if (!entry) return std::nullopt;
  if (entry->obstacle) {
    entry->event.watched = false;
    entry->event.reason = explain(*entry->obstacle).message;
  }
  return std::move(entry->event);
}

std::optional<Nanoseconds> CpuEventQueue::oldest() {
  const std::lock_guard lock(mutex_);
  return entries_.empty() ? std::nullopt : std::optional(entries_.front().event.time);
}

std::optional<CpuEventQueue::Entry> CpuEventQueue::pop_entry(Nanoseconds until) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty() || entries_.front().event.time > until) return std::nullopt;
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  return entry;
}

}  // namespace trapline::linux_port
