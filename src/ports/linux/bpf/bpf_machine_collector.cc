#include "ports/linux/bpf/bpf_machine_collector.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>

#include "ports/linux/bpf/bpf_config.h"
#include "ports/linux/bpf/bpf_machine_slots.h"
#include "ports/linux/bpf/bpf_output.h"
#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/kernel_memory.h"
#include "ports/linux/machine_watch.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_negotiation.h"
#include "ports/linux/perf_ring_set.h"
#include "ports/linux/perf_session_collector.h"

namespace trapline::linux_port {
namespace {

bool is_of_kernel(const Plan& plan) {
  return !plan.slots().empty() && is_kernel_address(plan.slots().front().address);
}

trapline_watch_config config_for(const Plan& plan, const CollectorOptions& options) {
  trapline_watch_config config = bpf_config_for(options);
  config.whole_machine = 1;
  config.slot_count = TRAPLINE_MAX_SLOTS;
  config.kernel_memory = is_of_kernel(plan) ? 1 : 0;
  return config;
}

// The programs see to stacks and registers.
PerfEventOptions event_options() {
  PerfEventOptions wanted;
  wanted.stack = StackMode::none;
  wanted.registers = false;
  return wanted;
}

class BpfMachineSession {
 public:
  // Nothing is watched yet.
  [[nodiscard]] static Result<std::unique_ptr<BpfMachineSession>> create(
      BpfOutput output, const CollectorOptions& options) {
    std::unique_ptr<BpfMachineSession> session(new BpfMachineSession(std::move(output)));
    auto watch = MachineWatch::create(session->events(), options);
    if (!watch) return std::unexpected(std::move(watch.error()));
    session->watch_ = *std::move(watch);
    return session;
  }
  BpfMachineSession(const BpfMachineSession&) = delete;
  BpfMachineSession& operator=(const BpfMachineSession&) = delete;
  ~BpfMachineSession() = default;

  [[nodiscard]] Result<InstallReport> install(const Plan& plan) {
    if (auto added = add_slots(plan); !added) return std::unexpected(std::move(added.error()));
    auto report = watch_->install(plan);
    if (report) report->reads_values = output_.programs().config().reads_values != 0;
    return report;
  }

  [[nodiscard]] Result<void> add(const Plan& plan) {
    if (auto added = add_slots(plan); !added) return added;
    auto set = watch_->add(plan);
    if (!set) remove_slots(plan);
    return set;
  }
  void remove(const Plan& plan) {
    watch_->remove(plan);
    remove_slots(plan);
  }

  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }

  Collector::Drained drain(SampleSink& sink) {
    const Nanoseconds now = monotonic_now();
    const Nanoseconds settled = PerfRingSet::settled_before(now);
    watch_->look_after_cpus(now);
    output_.tell_rejections(sink);
    Collector::Drained result;
    result.more_pending = deliver(sink, settled, BpfOutput::kRecordsPerDrain);
    if (!result.more_pending) {
      std::ignore = output_.tell_losses(sink);
      output_.tell_tallies_if_due(sink, now);
      watch_->drop_removed_plans(settled);
    }
    return result;
  }

  void finish(SampleSink& sink) {
    watch_->look_a_last_time();
    watch_->uninstall();
    output_.tell_rejections(sink);
    deliver(sink, PerfRingSet::kForever, BpfOutput::kNoLimit);
    std::ignore = output_.tell_losses(sink);
    output_.tell_tallies(sink);
    // A watch for reads counts what the programs themselves read, and no program runs then.
    if (!watches_reads_) output_.tell_missed(sink, watch_->total());
  }

 private:
  explicit BpfMachineSession(BpfOutput output)
      : output_(std::move(output)), descriptors_{output_.programs().descriptor()} {}

  [[nodiscard]] MachineEvents events() {
    const auto set_program = [this](const PerfEvent& event, CpuId /*any*/) {
      return event.set_program(output_.programs().hit_program());
    };
    const auto nothing = [](const PerfEvent&, CpuId) { return std::expected<void, int>{}; };
    return {.breakpoints = event_options(),
            .connect = set_program,
            .sign_of_life = sign_of_life_attributes(),
            .connect_sign_of_life = nothing,
            .on_gap = [this](bool all_are_watched) {
              const std::lock_guard lock(slots_mutex_);
              slots_.forget_values(all_are_watched);
              output_.programs().set_machine_slots(slots_.entries());
            }};
  }

  // Before there are events for them.
  [[nodiscard]] Result<void> add_slots(const Plan& plan) {
    if (plan.slots().empty()) return {};
    if (is_of_kernel(plan) != (output_.programs().config().kernel_memory != 0))
      return fail(ErrorCode::not_supported,
                  "collector bpf watches either the kernel's memory or that of processes: use "
                  "--collector perf");
    const std::lock_guard lock(slots_mutex_);
    if (!slots_.add(plan))
      return fail(ErrorCode::no_free_slot,
                  "collector bpf has no room for more addresses: use --collector perf");
    output_.programs().set_machine_slots(slots_.entries());
    watches_reads_ = watches_reads_ || plan.slots().front().access == Access::read_write;
    return {};
  }
  // After their events are closed.
  void remove_slots(const Plan& plan) {
    const std::lock_guard lock(slots_mutex_);
    slots_.remove(plan);
    output_.programs().set_machine_slots(slots_.entries());
  }

  // Hits and events of CPUs in the order of time; true if it stopped at the limit.
  bool deliver(SampleSink& sink, Nanoseconds until, std::size_t limit) {
    return watch_->cpu_events().deliver_between(sink, until, [&](Nanoseconds pause) {
      return output_.deliver(
          sink, pause, limit,
          [&](const BpfHit& hit) { return watch_->build_sample(hit.sample, hit.comm); },
          [&](const BpfTask& task) { tell_task(task, sink); });
    });
  }

  static void tell_task(const BpfTask& task, SampleSink& sink) {
    using Kind = TargetEvent::Kind;
    const TaskRecord& about = task.task;
    switch (task.event) {
      case BpfTaskEvent::fork:
        if (about.pid != about.parent_pid)
          sink.on_event({.kind = Kind::process_forked,
                         .pid = about.pid,
                         .tid = about.tid,
                         .parent = about.parent_pid});
        break;
      case BpfTaskEvent::exit:
        if (task.ends_process)
          sink.on_event({.kind = Kind::process_exited, .pid = about.pid, .tid = about.tid});
        break;
      case BpfTaskEvent::exec:
        sink.on_event({.kind = Kind::executed, .pid = about.pid, .tid = about.tid});
        break;
      case BpfTaskEvent::code_map:
        sink.on_event({.kind = Kind::code_mapped, .pid = about.pid, .tid = about.tid});
        break;
    }
  }

  BpfOutput output_;
  std::array<int, 1> descriptors_;
  bool watches_reads_ = false;
  std::mutex slots_mutex_;  // guards the slots, and the programs' copy of them
  BpfMachineSlots slots_;
  std::unique_ptr<MachineWatch> watch_;  // after what its events and callbacks use
};

class BpfMachineCollector final
    : public MachineSessionCollector<PerfSessionCollector<BpfMachineSession, MachineCollector>> {
 public:
  [[nodiscard]] std::string_view name() const override { return "bpf"; }
  [[nodiscard]] Result<InstallReport> install(const TargetScope& /*the whole machine*/,
                                              const Plan& plan,
                                              const CollectorOptions& options) override {
    if (auto unused = check_is_unused(); !unused) return std::unexpected(std::move(unused.error()));
    if (auto possible = bpf_can_do(options); !possible)
      return std::unexpected(std::move(possible.error()));
    auto loaded = load_bpf_programs(config_for(plan, options), options.ring_bytes);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    const bool tells_code_maps = loaded->tells_code_maps();
    if (!tells_code_maps && plan.slots().empty())
      return fail(ErrorCode::not_supported,
                  "this kernel lets no program see code mapped, by which collector bpf would find "
                  "the processes that load the file: use --collector perf");
    raise_descriptor_limit();
    auto session = BpfMachineSession::create(
        BpfOutput(std::make_unique<BpfWatchPrograms>(*std::move(loaded))), options);
    if (!session) return std::unexpected(std::move(session.error()));
    auto report = (*session)->install(plan);
    if (!report) return report;
    if (!tells_code_maps) report->notes.emplace_back(kNoCodeMapsNote);
    session_ = *std::move(session);
    return report;
  }
};

}  // namespace

std::unique_ptr<MachineCollector> make_bpf_machine_collector() {
  return std::make_unique<BpfMachineCollector>();
}

}  // namespace trapline::linux_port
