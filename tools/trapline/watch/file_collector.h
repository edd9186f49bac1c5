// The collector of a watch of a file's variable in every process that has the file.
//
// Over the collector of the whole machine: one plan for each address at which a process has the
// file, set when the first process has it there and taken back after the last. Follows processes by
// what the kernel records of them: a program or library that is mapped is watched within some
// milliseconds (at once, where the file has a fixed address). Hits of other programs that happen to
// use the address are left out. One thread, as any collector.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "ports/linux/collector.h"
#include "ports/linux/machine_collector.h"
#include "tools/trapline/watch/machine_object.h"
#include "trapline/watch/request.h"

namespace trapline::command {

class FileCollector final : public linux_port::Collector {
 public:
  // `request`: length and access of the watch; the address is the file's in each process.
  FileCollector(std::unique_ptr<linux_port::MachineCollector> machine, FileObject object,
                const Request& request);

  [[nodiscard]] std::string_view name() const override { return machine_->name(); }
  // The plan is not used: each address gets its own. Where no address of any process can be watched
  // the error is that of the first.
  [[nodiscard]] Result<linux_port::InstallReport> install(
      const linux_port::TargetScope& scope, const Plan& plan,
      const linux_port::CollectorOptions& options) override;
  [[nodiscard]] std::span<const int> descriptors() const override {
    return machine_->descriptors();
  }
  [[nodiscard]] std::optional<Nanoseconds> drain_interval() const override {
    return machine_->drain_interval();
  }
  [[nodiscard]] Result<Drained> drain(linux_port::SampleSink& sink) override;
  void stop(linux_port::SampleSink& sink) override;

 private:
  class Filter;
  using Addresses = std::set<RemoteAddress>;

  // Where the object that was hit begins; nullopt if it is not the file that the process has there.
  [[nodiscard]] std::optional<RemoteAddress> object_of(const Hit& hit);
  // Which of these objects the address is in.
  [[nodiscard]] std::optional<RemoteAddress> object_at(const Addresses& objects,
                                                       RemoteAddress address) const;
  // Of an address inside it, in a process that cannot be looked at.
  [[nodiscard]] RemoteAddress start_of_object(RemoteAddress inside) const;
  // Whether the process may have the file at more addresses than are known.
  [[nodiscard]] bool may_have_more(ProcessId pid) const;
  void note(const linux_port::TargetEvent& event);
  // Looks at the processes that events were about, and sets or takes back plans.
  void follow();
  // Looks at all processes, as if nothing was known of them.
  void rescan();
  [[nodiscard]] MemoryValue take_initial(ProcessId pid);
  // False if it has ended: what is known of it stays until its end is told, since hits and children
  // of it may still be told before.
  bool look_at(ProcessId pid);
  void learn(ProcessId pid, const Addresses& addresses);
  void forget(ProcessId pid);
  // False: refused now, or so recently that it is not asked again.
  [[nodiscard]] bool try_to_watch(ProcessId pid, RemoteAddress address);
  // The first refusal, once; how many there were stop() tells.
  void tell_refusal();
  // How many debug registers are used on each CPU.
  [[nodiscard]] std::size_t slots() const;
  // Errors: as MachineCollector::add.
  [[nodiscard]] Result<void> watch(RemoteAddress address);
  void take_back(RemoteAddress address);
  [[nodiscard]] std::expected<Plan, Error> plan_at(RemoteAddress address) const;

  std::unique_ptr<linux_port::MachineCollector> machine_;
  FileObject object_;
  Request request_;
  std::map<ProcessId, Addresses> processes_;      // that have been looked at
  std::map<RemoteAddress, std::size_t> watched_;  // how many processes have it there
  // Processes with an address for which no debug register is free. They are tried again when one
  // may be.
  std::set<ProcessId> unwatched_;
  std::size_t refused_ = 0;         // how often a process became one of these
  std::optional<Failure> refusal_;  // the first
  bool refusal_is_told_ = false;
  std::optional<Nanoseconds> refused_at_;  // the last, if it still says something
  bool may_be_free_ = false;
  bool must_rescan_ = false;  // records were lost, of processes among them
  Nanoseconds last_rescan_;
  std::set<ProcessId> to_look_at_;
  // Of hits that are left out.
  std::set<std::uint64_t> foreign_tallies_;
  // What the object held in processes that have not hit it yet.
  std::map<ProcessId, MemoryValue> initial_;
};

}  // namespace trapline::command
