#include "ports/linux/perf_collector.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ports/linux/followed_target.h"
#include "ports/linux/perf_clock.h"
#include "ports/linux/perf_install.h"
#include "ports/linux/perf_loss.h"
#include "ports/linux/perf_sample_builder.h"
#include "ports/linux/perf_session_collector.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {
namespace {

// A trap leaves at most one sample per register, and no architecture has more than this many.
constexpr std::size_t kMaxNeighbours = kMaxPlanSlots;

// The samples that came last in one CPU's ring.
struct RecentTraps {
  std::vector<PerfTwinFilter::Trap> traps;
  std::size_t since_loss = kMaxNeighbours;

  void add(const PerfTwinFilter::Trap& trap) {
    if (traps.size() == kMaxNeighbours) traps.erase(traps.begin());
    traps.push_back(trap);
    since_loss = std::min(since_loss + 1, kMaxNeighbours);
  }
  void lost() {
    traps.clear();
    since_loss = 0;
  }
};

// A watch that is installed.
class PerfSession {
 public:
  PerfSession(const TargetScope& scope, const Plan& plan, const CollectorOptions& options,
              FollowedTarget target, PerfInstallation installed)
      : scope_(scope),
        target_(std::move(target)),
        installed_(std::move(installed)),
        builder_(plan, options),
        recent_(installed_.events.rings().cpus().size()) {
    // Known before it ends: from it the others inherit theirs.
    (void)names_.of(scope.pid, ThreadId{scope.pid.value});
    refresh_descriptors();
  }

  [[nodiscard]] const InstallReport& report() const { return installed_.report; }
  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }

  Collector::Drained drain(SampleSink& sink) {
    const Nanoseconds now = perf_clock_now();
    target_.check(now, installed_.events);
    const Nanoseconds until =
        target_.seems_gone() ? PerfRingSet::kForever : PerfRingSet::settled_before(now);
    Collector::Drained result;
    result.more_pending = deliver(sink, until, PerfRingSet::kPerDrain);
    renew_fired(sink);
    if (!result.more_pending) {
      settle_losses(sink, until);
      target_.deliver_events(sink);
      result.target_gone = target_.is_gone(installed_.events);
    }
    refresh_descriptors();
    return result;
  }

  void finish(SampleSink& sink) {
    installed_.events.disable();
    deliver(sink, PerfRingSet::kForever, PerfRingSet::kNoLimits);
    const PerfHitTotal total = installed_.events.total(
        [this](std::uint64_t id) { return !installed_.filter.is_redundant(id); });
    if (const std::uint64_t lost = loss_.settle_exactly(total.hits); lost != 0) sink.on_lost(lost);
    if (!total.is_complete || was_blind_) sink.on_lost_uncounted();
    target_.check_finally();
    target_.deliver_events(sink);
  }

 private:
  // Delivers what was recorded up to `until`; true if it stopped at a limit.
  bool deliver(SampleSink& sink, Nanoseconds until, PerfRingSet::Limits limits) {
    const bool stopped_early = installed_.rings.deliver(
        until, limits, [&](const PerfRingSet::Item& item) { return handle(item, sink); });
    for (const std::uint64_t id : installed_.filter.take_redundant()) installed_.events.close(id);
    return stopped_early;
  }

  // Where the kernel does not step over an access, its event is blind from then on until this.
  void renew_fired(SampleSink& sink) {
    for (const std::uint64_t id : std::exchange(fired_, {})) {
      was_blind_ = true;
      sink.on_gap();
      installed_.events.renew(id);
    }
  }

  // True if a hit was delivered.
  bool handle(const PerfRingSet::Item& item, SampleSink& sink) {
    switch (item.header.kind) {
      case RecordKind::sample:
        return handle_sample(item, sink);
      case RecordKind::fork:
        if (const auto task = decode_task(item.bytes)) handle_fork(*task, sink);
        return false;
      case RecordKind::exit:
        if (const auto task = decode_task(item.bytes)) handle_exit(*task, sink);
        return false;
      case RecordKind::comm:
        if (const auto comm = decode_comm(item.bytes)) {
          names_.renamed(comm->tid, comm->name);
          if (comm->is_exec) target_.executed(comm->pid);
        }
        return false;
      case RecordKind::map:
        if (const auto map = decode_map(item.bytes); map && is_asked_for(map->pid)) {
          sink.on_event({.kind = TargetEvent::Kind::code_mapped, .pid = map->pid, .tid = map->tid});
        }
        return false;
      case RecordKind::lost:
        loss_.suspect();
        sink.on_gap();
        recent_[item.ring].lost();
        return false;
      case RecordKind::other:
        return false;
    }
    return false;
  }

  bool handle_sample(const PerfRingSet::Item& item, SampleSink& sink) {
    if (!decode_sample(item.bytes, installed_.layout, record_)) return false;
    if (!steps_over_hits_) fired_.insert(record_.id);
    const bool is_double = judge(item);
    if (is_double) return false;
    auto sample = builder_.build(record_, names_.of(record_.pid, record_.tid));
    if (!sample) return false;
    loss_.delivered();
    if (!is_asked_for(record_.pid)) return false;
    sample->is_newest = !installed_.rings.has_more();
    sink.on_sample(*sample);
    return true;
  }

  // Whether the sample in record_ is a double of one that another event made.
  bool judge(const PerfRingSet::Item& item) {
    const PerfTwinFilter::Trap trap{record_.id, record_.tid};
    RecentTraps& recent = recent_[item.ring];
    bool is_double = installed_.filter.is_redundant(trap.id);
    if (!is_double && installed_.filter.is_suspect(trap.id)) {
      neighbours_ = recent.traps;
      const bool complete = add_following(item, trap.tid) && recent.since_loss == kMaxNeighbours;
      is_double = installed_.filter.is_double(trap, neighbours_, complete);
    }
    if (installed_.filter.has_suspects()) recent.add(trap);
    return is_double;
  }

  // Adds the samples that follow to neighbours_; returns whether all that could belong to the same
  // trap was there to be seen. The samples of one trap stand together.
  bool add_following(const PerfRingSet::Item& item, ThreadId tid) {
    bool complete = true;
    std::size_t count = 0;
    const bool stopped = installed_.rings.visit_following(
        item, [&](RecordHeader header, std::span<const std::byte> bytes) {
          if (header.kind == RecordKind::lost) complete = false;
          if (header.kind != RecordKind::sample) return false;
          const auto origin = origin_of(bytes, installed_.layout);
          if (!origin || origin->tid != tid) return false;
          neighbours_.push_back({origin->id, origin->tid});
          return ++count < kMaxNeighbours;
        });
    return stopped && complete;
  }

  void handle_fork(const TaskRecord& task, SampleSink& sink) {
    // A new thread has its creator's name until it takes another; it may be gone before /proc is
    // asked.
    names_.renamed(task.tid, names_.of(task.parent_pid, task.parent_tid));
    target_.forked(task, sink);
  }

  void handle_exit(const TaskRecord& task, SampleSink& sink) {
    names_.forget(task.tid);
    if (!is_asked_for(task.pid)) return;
    target_.exited(task, sink);
  }

  [[nodiscard]] bool is_asked_for(ProcessId pid) const {
    return !installed_.filter_by_process || pid == scope_.pid;
  }

  void settle_losses(SampleSink& sink, Nanoseconds until) {
    if (const std::uint64_t lost = loss_.settle(until); lost != 0) sink.on_lost(lost);
    if (!loss_.wants_count(perf_clock_now())) return;
    // Suspects may be doubles: left out, like counts that cannot be read, the total can only be too
    // low.
    const PerfHitTotal total = installed_.events.total([this](std::uint64_t id) {
      return !installed_.filter.is_suspect(id) && !installed_.filter.is_redundant(id);
    });
    loss_.counted(total.hits, perf_clock_now());
  }

  void refresh_descriptors() {
    descriptors_ = installed_.events.rings().descriptors();
    const std::vector<int> processes = target_.descriptors();
    descriptors_.insert(descriptors_.end(), processes.begin(), processes.end());
  }

  TargetScope scope_;
  FollowedTarget target_;
  PerfInstallation installed_;
  PerfSampleBuilder builder_;
  PerfThreadNames names_;
  PerfLoss loss_;
  std::vector<int> descriptors_;
  std::vector<RecentTraps> recent_;  // by ring
  bool steps_over_hits_ = perf_steps_over_hits();
  std::set<std::uint64_t> fired_;  // events to renew; empty where hits are stepped over
  bool was_blind_ = false;         // hits may have been missed for that

  // Reused from sample to sample.
  PerfSample record_;
  std::vector<PerfTwinFilter::Trap> neighbours_;
};

class PerfCollector final : public PerfSessionCollector<PerfSession> {
 public:
  [[nodiscard]] Result<InstallReport> install(const TargetScope& scope, const Plan& plan,
                                              const CollectorOptions& options) override {
    if (auto unused = check_is_unused(); !unused) return std::unexpected(std::move(unused.error()));
    auto target = FollowedTarget::open(scope);
    if (!target) return std::unexpected(std::move(target.error()));
    auto installed = install_perf(scope, plan, options);
    if (!installed) return std::unexpected(std::move(installed.error()));
    session_ = std::make_unique<PerfSession>(scope, plan, options, *std::move(target),
                                             *std::move(installed));
    return session_->report();
  }
};

}  // namespace

std::unique_ptr<Collector> make_perf_collector() {
  return std::make_unique<PerfCollector>();
}

}  // namespace trapline::linux_port
