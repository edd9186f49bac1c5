#include "tools/trapline/watch/file_collector.h"

#include <fmt/format.h>

#include <span>
#include <utility>

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

MemoryValue read_value(ProcessId pid, RemoteAddress address, ByteCount length) {
  std::uint64_t bits = 0;
  if (length.value > sizeof bits) return {};
  linux_port::RemoteMemory memory(pid);
  const auto bytes = std::as_writable_bytes(std::span(&bits, 1)).first(length.value);
  if (memory.read(address, bytes) != bytes.size()) return {};
  return {bits, Certainty::approximate};
}

}  // namespace

// Passes on what concerns the file, and notes which processes to look at.
class FileCollector::Filter final : public linux_port::SampleSink {
 public:
  Filter(FileCollector& collector, SampleSink& sink) : collector_(collector), sink_(sink) {}

  void on_sample(const Sample& sample) override {
    const auto object = collector_.object_of(sample.hit);
    if (!object) return;
    Sample placed = sample;
    placed.object_start = *object;
    placed.initial = collector_.take_initial(sample.hit.pid);
    sink_.on_sample(placed);
  }
  void on_event(const TargetEvent& event) override {
    collector_.note(event);
    sink_.on_event(event);
  }
  void on_lost(std::uint64_t count) override {
    collector_.initial_.clear();
    sink_.on_lost(count);
  }
  void on_gap() override {
    collector_.initial_.clear();
    sink_.on_gap();
  }
  void on_cpu(const linux_port::CpuEvent& event) override {
    if (event.kind == linux_port::CpuEvent::Kind::online) collector_.initial_.clear();
    sink_.on_cpu(event);
  }
  void on_lost_uncounted() override { sink_.on_lost_uncounted(); }

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
  std::map<ProcessId, Addresses, ById> found;
  for (const auto& mapping : symbols::find_mappings(object_.file).mappings)
    found[mapping.pid].insert(symbols::address_in(mapping, object_.variable));
  for (auto& [pid, addresses] : found) learn(pid, std::move(addresses));
  if (!refused_.empty() && watched_.empty())
    return fail(ErrorCode::no_free_slot, "no debug register is free on every CPU");
  report->slots = watched_.size();
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
}

std::optional<RemoteAddress> FileCollector::object_of(const Hit& hit) {
  if (!processes_.contains(hit.pid)) {
    // Of one that is gone already nothing can be told but that it used the address: it is reported.
    if (!linux_port::read_status(hit.pid)) return hit.address;
    look_at(hit.pid);
  }
  for (const RemoteAddress object : processes_[hit.pid]) {
    if ((hit.address - object).value < request_.length.value) return object;
  }
  return std::nullopt;
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
      break;
    case TargetEvent::Kind::process_exited:
      to_look_at_.erase(event.pid);
      forget(event.pid);
      break;
    case TargetEvent::Kind::executed:
      forget(event.pid);
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
  for (const ProcessId pid : std::exchange(to_look_at_, {})) look_at(pid);
}

void FileCollector::look_at(ProcessId pid) {
  Addresses addresses;
  for (const RemoteAddress start : symbols::find_mappings_in(object_.file, pid))
    addresses.insert(start + ByteCount{object_.variable.offset_from_load});
  learn(pid, std::move(addresses));
}

void FileCollector::learn(ProcessId pid, Addresses addresses) {
  const Addresses before = std::exchange(processes_[pid], addresses);
  // Somebody may write between this look and the watch.
  if (before.empty() && addresses.size() == 1)
    initial_[pid] = read_value(pid, *addresses.begin(), request_.length);
  for (const RemoteAddress address : addresses) {
    if (before.contains(address) || watched_[address]++ > 0) continue;
    if (const auto watched = watch(address); !watched) {
      watched_.erase(address);
      processes_[pid].erase(address);
      if (refused_.insert(address).second)
        print_failure({watched.error().error,
                       fmt::format("process {} ({}) has it at {:#x} and is not watched: {}",
                                   pid.value, linux_port::thread_name(pid, ThreadId{pid.value}),
                                   address.value(), watched.error().message)});
    }
  }
  for (const RemoteAddress address : before) {
    if (addresses.contains(address)) continue;
    const auto found = watched_.find(address);
    if (found == watched_.end() || --found->second > 0) continue;
    take_back(address);
    watched_.erase(found);
  }
}

void FileCollector::forget(ProcessId pid) {
  learn(pid, {});
  processes_.erase(pid);
  initial_.erase(pid);
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
