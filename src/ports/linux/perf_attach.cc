#include "ports/linux/perf_attach.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <unordered_set>
#include <utility>

#include "ports/linux/attach_pace.h"
#include "ports/linux/perf_clock.h"
#include "ports/linux/perf_records.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// Longer than a clone(2) can take from copying the events to recording the fork, even if it is
// preempted in between.
constexpr Nanoseconds kCloneTakesAtMost{100'000'000};

// A process that starts threads faster than they can be looked at is not chased for ever.
constexpr Nanoseconds kChaseAtMost{2'000'000'000};

class Attach {
 public:
  Attach(PerfEventSet& events, PerfRingSet& rings, PerfTwinFilter& filter,
         const ExplainOpenError& explain)
      : events_(events), rings_(rings), filter_(filter), explain_(explain) {}

  Result<PerfAttachReport> one_thread(const TargetScope& scope) {
    if (auto added = add(*scope.only_thread, false); !added)
      return std::unexpected(std::move(added.error()));
    return finish(*scope.only_thread);
  }

  Result<PerfAttachReport> all_threads(const TargetScope& scope) {
    const Nanoseconds give_up{perf_clock_now().value + kChaseAtMost.value};
    auto listed = list_threads(scope.pid);
    if (!listed) return std::unexpected(std::move(listed.error()));
    AttachPace pace;
    // Nothing was watched when this list was made, so nobody on it can have inherited.
    for (bool late = false;; late = true) {
      const std::vector<ThreadId> unwatched = take_new(*listed);
      const auto wait = pace.after_list(unwatched.size());
      if (!wait) break;
      std::this_thread::sleep_for(std::chrono::nanoseconds(wait->value));
      if (!unwatched.empty() && perf_clock_now() > give_up) {
        report_.notes.push_back(
            "threads start faster than they can be looked at: " + std::to_string(unwatched.size()) +
            " of those that started while the watch was being set up may be unwatched");
        break;
      }
      for (const ThreadId tid : unwatched) {
        if (auto added = add(tid, late); !added) return std::unexpected(std::move(added.error()));
      }
      listed = list_threads(scope.pid);
      if (!listed) break;  // the process has ended; what it did until then is in the rings
    }
    return finish(ThreadId{scope.pid.value});
  }

 private:
  // Those that need events of their own and were not looked at before.
  std::vector<ThreadId> take_new(const std::vector<ThreadId>& listed) {
    // After the list was made, so that the records of everybody on it are there.
    rings_.visit_new([this](RecordHeader header, std::span<const std::byte> bytes) {
      if (header.kind != RecordKind::fork) return;
      if (const auto task = decode_task(bytes))
        ancestry_.created(task->tid, task->parent_tid, task->time);
    });
    std::vector<ThreadId> unwatched;
    for (const ThreadId tid : listed) {
      if (seen_.contains(tid.value)) continue;
      if (ancestry_.has_inherited(tid)) {
        seen_.insert(tid.value);
        ++report_.threads;
      } else {
        unwatched.push_back(tid);
      }
    }
    return unwatched;
  }

  Result<void> add(ThreadId tid, bool late) {
    seen_.insert(tid.value);
    const auto opened = events_.add_thread(tid, late, filter_);
    if (!opened) return std::unexpected(explain_(tid, opened.error()));
    if (*opened == PerfEventSet::Opened::thread_ended) return {};
    ancestry_.watched_since(tid, perf_clock_now());
    ++report_.threads;
    return {};
  }

  Result<PerfAttachReport> finish(ThreadId asked_for) {
    if (report_.threads == 0) return std::unexpected(explain_(asked_for, SlotOpenError{ESRCH, 0}));
    return std::move(report_);
  }

  PerfEventSet& events_;
  PerfRingSet& rings_;
  PerfTwinFilter& filter_;
  const ExplainOpenError& explain_;
  PerfAncestry ancestry_;
  std::unordered_set<std::int32_t> seen_;
  PerfAttachReport report_;
};

}  // namespace

void PerfAncestry::watched_since(ThreadId tid, Nanoseconds when) {
  settled_.insert_or_assign(tid.value, Nanoseconds{when.value + kCloneTakesAtMost.value});
}

void PerfAncestry::created(ThreadId tid, ThreadId parent, Nanoseconds when) {
  births_.insert_or_assign(tid.value, Birth{parent, when});
}

bool PerfAncestry::has_inherited(ThreadId tid) const {
  // A number can come round again and close a circle; a real line of descent is no longer than
  // this.
  for (std::size_t steps = births_.size(); steps != 0; --steps) {
    const auto birth = births_.find(tid.value);
    if (birth == births_.end()) return false;
    const ThreadId parent = birth->second.parent;
    const auto settled = settled_.find(parent.value);
    if (settled != settled_.end() && birth->second.when >= settled->second) return true;
    tid = parent;
  }
  return false;
}

Result<PerfAttachReport> attach_threads(const TargetScope& scope, PerfEventSet& events,
                                        PerfRingSet& rings, PerfTwinFilter& filter,
                                        const ExplainOpenError& explain) {
  Attach attach(events, rings, filter, explain);
  return scope.only_thread ? attach.one_thread(scope) : attach.all_threads(scope);
}

}  // namespace trapline::linux_port
