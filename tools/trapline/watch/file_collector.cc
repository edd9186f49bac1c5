#include "tools/trapline/watch/file_collector.h"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/remote_memory.h"
#include "symbols/mapped_files.h"
#include "tools/trapline/messages.h"
#include "trapline/watch/plan.h"

namespace trapline::command {

using linux_port::Sample;
using linux_port::TargetEvent;

namespace {

// Looks at all processes are at least so far apart, however often records are lost.
constexpr Nanoseconds kRescanInterval{500'000'000};
// How long a refusal holds for other addresses, if nothing is given back: explaining each one looks
// at all processes.
constexpr Nanoseconds kRefusalHolds{kNanosecondsPerSecond};
// What other programs give back is found by trying.
constexpr Nanoseconds kRetryInterval{5'000'000'000};
// Files are mapped by whole pages; there are larger ones, and debug registers cover less.
constexpr std::uint64_t kSmallestPage = 4096;

MemoryValue read_value(ProcessId pid, RemoteAddress address, ByteCount length) {
  std::uint64_t bits = 0;
  if (length.value > sizeof bits) return {};
  linux_port::RemoteMemory memory(pid);
  const auto bytes = std::as_writable_bytes(std::span(&bits, 1)).first(size_of_own(length));
  if (memory.read(address, bytes) != bytes.size()) return {};
  return {bits, Certainty::approximate};
}

// It may still wait to be collected.
bool has_ended(ProcessId pid) {
  const auto status = linux_port::read_status(pid);
  return !status || status->has_ended();
}

}  // namespace

// Passes on what concerns the file, and notes which processes to look at.
class FileCollector::Filter final : public linux_port::SampleSink {
 public:
  Filter(FileCollector& collector, SampleSink& sink) : collector_(collector), sink_(sink) {}

  void on_sample(const Sample& sample) override {
    const auto object = collector_.object_of(sample.hit);
    if (!object) {
      if (sample.tally != 0) collector_.foreign_tallies_.insert(sample.tally);
      return;
    }
    Sample placed = sample;
    placed.object_start = *object;
    placed.initial = collector_.take_initial(sample.hit.pid);
    // Hits before it may not have been delivered.
    if (sample.follows_undelivered) placed.initial = {};
    sink_.on_sample(placed);
  }
  void on_tally(const linux_port::Tally& tally) override {
    if (!collector_.foreign_tallies_.contains(tally.number)) {
      sink_.on_tally(tally);
    } else if (tally.is_last) {
      collector_.foreign_tallies_.erase(tally.number);
    }
  }
  void on_event(const TargetEvent& event) override {
    collector_.note(event);
    sink_.on_event(event);
  }
  void on_lost(std::uint64_t count) override {
    collector_.initial_.clear();
    collector_.must_rescan_ = true;
    sink_.on_lost(count);
  }
  void on_gap() override {
    collector_.initial_.clear();
    collector_.must_rescan_ = true;
    sink_.on_gap();
  }
  void on_cpu(const linux_port::CpuEvent& event) override {
    if (event.kind == linux_port::CpuEvent::Kind::online) collector_.initial_.clear();
    collector_.may_be_free_ = true;
    sink_.on_cpu(event);
  }
  void on_lost_uncounted() override { sink_.on_lost_uncounted(); }
  void on_rejected(std::uint64_t count) override { sink_.on_rejected(count); }

 private:
  FileCollector& collector_;
  SampleSink& sink_;
};

FileCollector::FileCollector(std::unique_ptr<linux_port::MachineCollector> machine,
                             FileObject object, const Request& request)
    : machine_(std::move(machine)), object_(std::move(object)), request_(request) {}

Result<linux_port::InstallReport> FileCollector::install(
    const linux_port::TargetScope& scope, const Plan& /*each address gets its own*/,
    const linux_port::CollectorOptions& options) {
  // From here on the kernel's records tell of processes; those that were there before are listed.
  auto report = machine_->install(scope, Plan{}, options);
  if (!report) return report;
  if (!object_.file.is_position_independent) {
    // The one address, whether anybody is there yet or not.
    const RemoteAddress address = symbols::linked_address(object_.file, object_.variable);
    if (auto watched = watch(address); !watched) return std::unexpected(std::move(watched.error()));
    ++watched_[address];
  }
  rescan();
  if (refusal_ && watched_.empty()) return std::unexpected(*std::move(refusal_));
  tell_refusal();
  report->slots = slots();
  report->notes.push_back(
      processes_.empty()
          ? "no process has the file yet: those that load it will be watched"
          : fmt::format("{} {} the file, at {} {}; those that load it later are watched as well",
                        processes_.size(),
                        processes_.size() == 1 ? "process has" : "processes have", watched_.size(),
                        watched_.size() == 1 ? "address" : "addresses"));
  return report;
}

Result<linux_port::Collector::Drained> FileCollector::drain(linux_port::SampleSink& sink) {
  Filter filter(*this, sink);
  auto drained = machine_->drain(filter);
  follow();
  return drained;
}

void FileCollector::stop(linux_port::SampleSink& sink) {
  Filter filter(*this, sink);
  machine_->stop(filter);
  if (refused_ <= 1) return;
  print_failure({{ErrorCode::no_free_slot},
                 fmt::format("{} processes that have {} were not watched all the time, for the "
                             "same reason as the first",
                             std::exchange(refused_, 0), object_.file.path)});
}

std::optional<RemoteAddress> FileCollector::object_of(const Hit& hit) {
  if (const auto known = processes_.find(hit.pid); known != processes_.end()) {
    if (const auto object = object_at(known->second, hit.address)) return object;
    if (!may_have_more(hit.pid)) return std::nullopt;
  }
  // Of one that is gone already nothing can be told but that it used the address: it is reported.
  if (!look_at(hit.pid)) return start_of_object(hit.address);
  return object_at(processes_[hit.pid], hit.address);
}

std::optional<RemoteAddress> FileCollector::object_at(const Addresses& objects,
                                                      RemoteAddress address) const {
  for (const RemoteAddress object : objects) {
    if ((address - object).value < request_.length.value) return object;
  }
  return std::nullopt;
}

// The watch may be taken back already, and what it was set for be forgotten.
RemoteAddress FileCollector::start_of_object(RemoteAddress inside) const {
  const std::uint64_t from_load = inside.value() - object_.variable.offset_from_load;
  return inside - ByteCount{from_load % kSmallestPage};
}

bool FileCollector::may_have_more(ProcessId pid) const {
  return to_look_at_.contains(pid) || unwatched_.contains(pid);
}

MemoryValue FileCollector::take_initial(ProcessId pid) {
  const auto found = initial_.extract(pid);
  return found ? found.mapped() : MemoryValue{};
}

void FileCollector::note(const TargetEvent& event) {
  switch (event.kind) {
    case TargetEvent::Kind::process_forked:
      if (const auto parent = processes_.find(event.parent); parent != processes_.end())
        learn(event.pid, parent->second);
      if (may_have_more(event.parent)) to_look_at_.insert(event.pid);
      break;
    case TargetEvent::Kind::process_exited:
      to_look_at_.erase(event.pid);
      forget(event.pid);
      break;
    case TargetEvent::Kind::executed:
      forget(event.pid);
      // What the new program maps first may have been told before this, and nothing come after it.
      to_look_at_.insert(event.pid);
      break;
    case TargetEvent::Kind::code_mapped:
      to_look_at_.insert(event.pid);
      break;
    case TargetEvent::Kind::thread_started:
    case TargetEvent::Kind::thread_exited:
      break;
  }
}

void FileCollector::follow() {
  for (const ProcessId pid : std::set(to_look_at_)) look_at(pid);
  const Nanoseconds now = linux_port::monotonic_now();
  if (must_rescan_ && now.value >= last_rescan_.value + kRescanInterval.value) rescan();
  const bool is_due = refused_at_ && now.value >= refused_at_->value + kRetryInterval.value;
  if (std::exchange(may_be_free_, false) || is_due) {
    refused_at_.reset();
    for (const ProcessId pid : std::set(unwatched_)) look_at(pid);
  }
  tell_refusal();
}

void FileCollector::rescan() {
  must_rescan_ = false;
  std::map<ProcessId, Addresses> found;
  for (const auto& mapping : symbols::find_mappings(object_.file).mappings)
    found[mapping.pid].insert(symbols::address_in(mapping, object_.variable));
  std::vector<ProcessId> gone;
  for (const auto& [pid, addresses] : processes_) {
    if (!found.contains(pid)) gone.push_back(pid);
  }
  for (const ProcessId pid : gone) forget(pid);
  for (auto& [pid, addresses] : found) learn(pid, addresses);
  to_look_at_.clear();
  last_rescan_ = linux_port::monotonic_now();
}

bool FileCollector::look_at(ProcessId pid) {
  Addresses addresses;
  for (const RemoteAddress start : symbols::find_mappings_in(object_.file, pid))
    addresses.insert(start + ByteCount{object_.variable.offset_from_load});
  // Asked afterwards: it may end at any time, and then has nothing mapped, even if its number is
  // still in use.
  if (addresses.empty() && has_ended(pid)) return false;
  to_look_at_.erase(pid);
  learn(pid, addresses);
  return true;
}

void FileCollector::learn(ProcessId pid, const Addresses& addresses) {
  const Addresses before = std::exchange(processes_[pid], addresses);
  // Somebody may write between this look and the watch. Where the watch is there already, hits may
  // have happened that are still to come.
  if (before.empty() && addresses.size() == 1 && !watched_.contains(*addresses.begin()))
    initial_[pid] = read_value(pid, *addresses.begin(), request_.length);
  bool is_refused = false;
  for (const RemoteAddress address : addresses) {
    if (before.contains(address)) continue;
    if (const auto found = watched_.find(address); found != watched_.end()) {
      ++found->second;
    } else if (try_to_watch(pid, address)) {
      watched_.emplace(address, 1);
    } else {
      processes_[pid].erase(address);
      is_refused = true;
    }
  }
  if (!is_refused) {
    unwatched_.erase(pid);
  } else if (unwatched_.insert(pid).second) {
    ++refused_;
  }
  for (const RemoteAddress address : before) {
    if (addresses.contains(address)) continue;
    const auto found = watched_.find(address);
    if (found == watched_.end() || --found->second > 0) continue;
    take_back(address);
    may_be_free_ = true;
    watched_.erase(found);
  }
}

void FileCollector::forget(ProcessId pid) {
  learn(pid, {});
  processes_.erase(pid);
  initial_.erase(pid);
}

bool FileCollector::try_to_watch(ProcessId pid, RemoteAddress address) {
  const Nanoseconds now = linux_port::monotonic_now();
  if (refused_at_ && now.value < refused_at_->value + kRefusalHolds.value) return false;
  auto watched = watch(address);
  if (watched) {
    refused_at_.reset();
    // No refusal is left that would make those refused before be tried again later.
    if (!unwatched_.empty()) may_be_free_ = true;
    return true;
  }
  refused_at_ = linux_port::monotonic_now();
  if (!refusal_) {
    refusal_ = std::move(watched.error());
    refusal_->message = fmt::format("process {} ({}) has it at {:#x} and is not watched: {}",
                                    pid.value, linux_port::thread_name(pid, ThreadId{pid.value}),
                                    address.value(), refusal_->message);
  }
  return false;
}

void FileCollector::tell_refusal() {
  if (refusal_ && !std::exchange(refusal_is_told_, true)) print_failure(*refusal_);
}

std::size_t FileCollector::slots() const {
  std::size_t slots = 0;
  for (const auto& [address, processes] : watched_) {
    if (const auto plan = plan_at(address)) slots += plan->slots().size();
  }
  return slots;
}

Result<void> FileCollector::watch(RemoteAddress address) {
  const auto plan = plan_at(address);
  if (!plan) return fail(plan.error().code, "the machine cannot watch this address");
  return machine_->add(*plan);
}

void FileCollector::take_back(RemoteAddress address) {
  if (const auto plan = plan_at(address)) machine_->remove(*plan);
}

std::expected<Plan, Error> FileCollector::plan_at(RemoteAddress address) const {
  return make_plan(Request{address, request_.length, request_.access},
                   linux_port::native_debug_architecture());
}

}  // namespace trapline::command
