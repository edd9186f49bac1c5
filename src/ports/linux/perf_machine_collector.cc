#include "ports/linux/perf_machine_collector.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "ports/linux/machine_watch.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/perf_arch.h"
#include "ports/linux/perf_cpu_rings.h"
#include "ports/linux/perf_loss.h"
#include "ports/linux/perf_ring_set.h"
#include "ports/linux/perf_sample_builder.h"
#include "ports/linux/perf_session_collector.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

PerfEventOptions event_options(const CollectorOptions& options) {
  PerfEventOptions wanted;
  wanted.stack = options.stack;
  wanted.registers = options.registers;
  wanted.dwarf_stack_bytes = options.dwarf_stack_bytes;
  return wanted;
}

// A breakpoint's, for the format of its records only.
perf_event_attr format_of(const CollectorOptions& options) {
  return breakpoint_attributes(SlotRequest{}, event_options(options));
}

// Whether any of the process's threads still runs; the first one may have ended before others.
bool has_live_thread(ProcessId pid) {
  const auto threads = list_threads(pid);
  if (!threads) return false;
  return std::ranges::any_of(*threads, [&](ThreadId tid) {
    const auto status = read_status(pid, tid);
    return status && !status->has_ended();
  });
}

class PerfMachineSession {
 public:
  // Nothing is watched yet.
  [[nodiscard]] static Result<std::unique_ptr<PerfMachineSession>> create(
      PerfCpuRings rings, const CollectorOptions& options) {
    std::unique_ptr<PerfMachineSession> session(new PerfMachineSession(std::move(rings), options));
    auto watch = MachineWatch::create(session->events(options), options);
    if (!watch) return std::unexpected(std::move(watch.error()));
    session->watch_ = *std::move(watch);
    return session;
  }
  PerfMachineSession(const PerfMachineSession&) = delete;
  PerfMachineSession& operator=(const PerfMachineSession&) = delete;
  ~PerfMachineSession() = default;

  [[nodiscard]] Result<InstallReport> install(const Plan& plan) { return watch_->install(plan); }
  [[nodiscard]] Result<void> add(const Plan& plan) { return watch_->add(plan); }
  void remove(const Plan& plan) { watch_->remove(plan); }

  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }

  Collector::Drained drain(SampleSink& sink) {
    const Nanoseconds now = monotonic_now();
    const Nanoseconds settled = PerfRingSet::settled_before(now);
    watch_->look_after_cpus(now);
    Collector::Drained result;
    result.more_pending = deliver(sink, settled, PerfRingSet::kPerDrain);
    tell_ended_processes(sink);
    if (!result.more_pending) {
      settle_losses(sink, settled);
      watch_->drop_removed_plans(settled);
    }
    return result;
  }

  void finish(SampleSink& sink) {
    watch_->look_a_last_time();
    watch_->uninstall();
    deliver(sink, PerfRingSet::kForever, PerfRingSet::kNoLimits);
    const PerfHitTotal all = watch_->total();
    if (const std::uint64_t lost = loss_.settle_exactly(all.hits); lost != 0) sink.on_lost(lost);
    if (!all.is_complete) sink.on_lost_uncounted();
  }

 private:
  PerfMachineSession(PerfCpuRings rings, const CollectorOptions& options)
      : rings_(std::move(rings)), layout_(layout_of(format_of(options))), ring_set_(layout_) {
    for (PerfRing& ring : rings_.rings()) ring_set_.add(ring.reader());
    descriptors_ = rings_.descriptors();
  }

  // All events write into the ring of their CPU, and the signs of life record what tasks do.
  [[nodiscard]] MachineEvents events(const CollectorOptions& options) const {
    const auto to_ring = [this](const PerfEvent& event, CpuId cpu) -> std::expected<void, int> {
      const auto ring = rings_.index_of(cpu);
      if (!ring) return std::unexpected(ENODEV);
      return event.redirect_to(rings_.owner(*ring));
    };
    return {.breakpoints = event_options(options),
            .connect = to_ring,
            .sign_of_life = task_attributes(format_of(options)),
            .connect_sign_of_life = to_ring};
  }

  // Hits and events of CPUs in the order of time; true if it stopped at a limit.
  bool deliver(SampleSink& sink, Nanoseconds until, PerfRingSet::Limits limits) {
    return watch_->cpu_events().deliver_between(sink, until, [&](Nanoseconds pause) {
      return ring_set_.deliver(pause, limits,
                               [&](const PerfRingSet::Item& item) { return handle(item, sink); });
    });
  }

  // True if a hit was delivered.
  bool handle(const PerfRingSet::Item& item, SampleSink& sink) {
    switch (item.header.kind) {
      case RecordKind::sample:
        return handle_sample(item, sink);
      case RecordKind::fork:
        if (const auto task = decode_task(item.bytes)) {
          names_.renamed(task->tid, names_.of(task->parent_pid, task->parent_tid));
          if (task->pid != task->parent_pid) {
            headless_.erase(task->pid);
            sink.on_event({.kind = TargetEvent::Kind::process_forked,
                           .pid = task->pid,
                           .tid = task->tid,
                           .parent = task->parent_pid});
          }
        }
        return false;
      case RecordKind::exit:
        if (const auto task = decode_task(item.bytes)) {
          names_.forget(task->tid);
          if (task->pid.value == task->tid.value && !tell_if_ended(task->pid, sink))
            headless_.insert(task->pid);
        }
        return false;
      case RecordKind::comm:
        if (const auto comm = decode_comm(item.bytes)) {
          names_.renamed(comm->tid, comm->name);
          if (comm->is_exec) {
            // Another thread's exec ends the first one and takes its number.
            headless_.erase(comm->pid);
            sink.on_event(
                {.kind = TargetEvent::Kind::executed, .pid = comm->pid, .tid = comm->tid});
          }
        }
        return false;
      case RecordKind::map:
        if (const auto map = decode_map(item.bytes))
          sink.on_event({.kind = TargetEvent::Kind::code_mapped, .pid = map->pid, .tid = map->tid});
        return false;
      case RecordKind::lost:
        loss_.suspect();
        sink.on_gap();
        return false;
      case RecordKind::other:
        return false;
    }
    return false;
  }

  bool handle_sample(const PerfRingSet::Item& item, SampleSink& sink) {
    if (!decode_sample(item.bytes, layout_, record_)) return false;
    auto sample = watch_->build_sample(record_, names_.of(record_.pid, record_.tid));
    if (!sample) return false;
    loss_.delivered();
    sample->is_newest = !ring_set_.has_more_samples();
    sink.on_sample(*sample);
    return true;
  }

  // The first thread's end is the end of the process only if no other is left.
  bool tell_if_ended(ProcessId pid, SampleSink& sink) const {
    if (has_live_thread(pid)) return false;
    sink.on_event(
        {.kind = TargetEvent::Kind::process_exited, .pid = pid, .tid = ThreadId{pid.value}});
    return true;
  }
  void tell_ended_processes(SampleSink& sink) {
    std::erase_if(headless_, [&](ProcessId pid) { return tell_if_ended(pid, sink); });
  }

  void settle_losses(SampleSink& sink, Nanoseconds until) {
    if (const std::uint64_t lost = loss_.settle(until); lost != 0) sink.on_lost(lost);
    if (loss_.wants_count(monotonic_now())) loss_.counted(watch_->total().hits, monotonic_now());
  }

  PerfCpuRings rings_;
  SampleLayout layout_;
  PerfRingSet ring_set_;
  PerfThreadNames names_;
  std::set<ProcessId> headless_;  // whose first thread has ended before others
  PerfLoss loss_;
  std::vector<int> descriptors_;
  PerfSample record_;                    // reused from sample to sample
  std::unique_ptr<MachineWatch> watch_;  // after the rings, into which its events write
};

class PerfMachineCollector final
    : public MachineSessionCollector<PerfSessionCollector<PerfMachineSession, MachineCollector>> {
 public:
  [[nodiscard]] Result<InstallReport> install(const TargetScope& /*the whole machine*/,
                                              const Plan& plan,
                                              const CollectorOptions& options) override {
    if (auto unused = check_is_unused(); !unused) return std::unexpected(std::move(unused.error()));
    if (!native_perf_architecture().watches_cpus)
      return fail(ErrorCode::not_supported,
                  "this kernel sets debug registers for threads only, not for whatever runs on a "
                  "CPU; watch each process with -p PID");
    const auto possible = possible_cpus();
    if (!possible) return std::unexpected(possible.error());
    auto rings = PerfCpuRings::create(*possible, options.ring_bytes);
    if (!rings) return std::unexpected(std::move(rings.error()));
    auto session = PerfMachineSession::create(*std::move(rings), options);
    if (!session) return std::unexpected(std::move(session.error()));
    auto report = (*session)->install(plan);
    if (report) session_ = *std::move(session);
    return report;
  }
};

}  // namespace

std::unique_ptr<MachineCollector> make_perf_machine_collector() {
  return std::make_unique<PerfMachineCollector>();
}

}  // namespace trapline::linux_port
