// How hits leave the kernel: the interface every collector keeps, and what passes through it.
//
// Life of a collector: construct -> install -> (wait on descriptors(), drain)* -> stop. All calls
// from one thread, the one that constructed it (ptrace ties a tracee to its tracer thread). Whether
// hits stop the target is the collector's: perf's do not; with ptrace the thread that hit waits
// until on_sample has returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"
#include "trapline/port/user_registers.h"
#include "trapline/watch/condition.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

enum class StackMode : std::uint8_t { none, frame_pointer, dwarf };

// Whom to watch.
struct TargetScope {
  ProcessId pid;
  bool whole_machine = false;                          // everybody; the rest says nothing then
  std::optional<ThreadId> only_thread = std::nullopt;  // one thread, and none that it starts
  bool follow_children = false;                        // processes that it forks, too
};

// How the values of a watch compare with each other: 1 to 8 bytes; floating-point numbers have 4 or
// 8.
enum class ValueOrder : std::uint8_t { none, as_unsigned, as_signed, as_floating };

struct CollectorOptions {
  StackMode stack = StackMode::frame_pointer;
  // Capture user registers: for the culprit check, values, dwarf stacks.
  bool registers = true;
  // What the watched bytes held before and after each hit, where the collector can tell.
  bool values = true;
  ByteCount dwarf_stack_bytes{
      16ULL * 1024};  // copied per hit for StackMode::dwarf; kernel limit 64 KiB - 8
  // Per CPU, a power of two of pages; halved until the system allows it.
  ByteCount ring_bytes{4ULL * 1024 * 1024};
  // Hits that fail one of these need not be delivered. A collector that can tell so where the hit
  // is made, for less than it costs to deliver it, rejects them and tells how many by
  // on_rejected(). Whoever gets the hits judges them all the same: not every collector can, nor
  // every condition.
  std::vector<TypedCondition> conditions = {};
  // Hits that are alike need not be delivered one by one. A collector that can count them where
  // they happen delivers the first and tells of the others by on_tally(), with the range of their
  // values in this order.
  std::optional<ValueOrder> tally_order = std::nullopt;
};

// What a collector could and could not have, for the start line and doctor.
struct InstallReport {
  CpuSet cpus;                        // CPUs on which a hit would be seen
  std::size_t threads = 0;            // threads watched at the start
  std::size_t slots = 0;              // debug registers used in each thread
  bool sees_kernel_accesses = false;  // false: writes by system calls are not reported
  bool reads_values = false;          // what memory holds at a hit, where the hit is made
  std::vector<std::string> notes;     // weaker than asked for, one sentence each
};

// Hits that were counted where they happened, instead of being delivered.
struct Tally {
  std::uint64_t number = 0;  // Sample::tally of the hit that they are like
  std::uint64_t count = 0;   // those since the last time
  // Of all since that hit, without it.
  Nanoseconds first{};
  Nanoseconds last{};
  CpuSet cpus{};
  // Of new values, in CollectorOptions::tally_order; `unknown` if there is none.
  MemoryValue lowest{};
  MemoryValue highest{};
  bool is_last = false;  // the thread has ended: nothing more will be counted
};

// One hit, with what was captured beside it. Borrowed: valid only during the call.
struct Sample {
  Hit hit;  // hit.callers: user frames as the kernel or a frame walk gave them
            // (StackMode::frame_pointer)
  UserRegisters registers;
  // Innermost first, without hit.trap_ip; empty unless hit.in_kernel.
  std::span<const RemoteAddress> kernel_stack;
  std::optional<RemoteAddress>
      user_ip;  // where user mode was, if it is not hit.trap_ip (a system call)
  // StackMode::frame_pointer: where a call leaves the return address, the word that the user's
  // stack pointer pointed to or the link register. It is the first caller if the function has no
  // frame (yet), which hit.callers cannot tell of: call-frame information does.
  std::optional<RemoteAddress> stack_top;
  // StackMode::dwarf: memory from the stack pointer upwards.
  std::span<const std::byte> stack_bytes;
  // Where the watched object begins in this process, if that differs from process to process.
  std::optional<RemoteAddress> object_start;
  // What the object held when this process began to be watched; with its first hit only.
  MemoryValue initial;
  // Hits on the same bytes before it may have been rejected or tallied by the collector: what they
  // left is hit.old_value, or it is not known.
  bool follows_undelivered = false;
  // Further hits like this one (of its thread, slot, instruction and stack) come as tallies with
  // this number. 0: one by one.
  std::uint64_t tally = 0;
  // No later hit is known yet: memory may still hold what this one wrote.
  bool is_newest = true;
};

// What else can happen to the target.
struct TargetEvent {
  enum class Kind : std::uint8_t {
    thread_started,  // pid, tid
    thread_exited,   // pid, tid
    process_forked,  // pid: the child; tid: its first thread; parent
    executed,        // pid: the program was replaced: addresses mean nothing any more
    process_exited,  // pid, wait_status as waitpid gives it where known
    code_mapped,     // pid: new code appeared (dlopen): symbol information is stale
  };
  Kind kind{};
  ProcessId pid;
  ThreadId tid{};
  ProcessId parent{};
  std::optional<int> wait_status = std::nullopt;
};

// A CPU went away or came back during a watch of the whole machine, or one that stayed online is
// watched no longer, or again.
struct CpuEvent {
  enum class Kind : std::uint8_t { offline, online };
  CpuId cpu{};
  Kind kind{};
  Nanoseconds time{};  // CLOCK_MONOTONIC
  // The rest is about `online` only.
  Nanoseconds gap{};  // an upper bound of how long the CPU ran without being watched
  // From the kernel's event to the watch working again; where there was none, the same as the gap.
  Nanoseconds reinstall{};
  // False: it did not come online just now, only `watched` is news.
  bool cpu_was_offline = true;
  // False: the watch could not be set there, and `reason` says why. Hits on this CPU are missed
  // until it goes offline, or until another `online` event tells that it is watched; the gap of
  // that one counts from when the CPU came online.
  bool watched = true;
  std::string reason = {};
};

class SampleSink {
 public:
  SampleSink() = default;
  SampleSink(const SampleSink&) = delete;
  SampleSink& operator=(const SampleSink&) = delete;
  virtual ~SampleSink() = default;

  virtual void on_sample(const Sample& sample) = 0;
  virtual void on_event(const TargetEvent& event) = 0;
  // `count` hits happened and were not delivered.
  virtual void on_lost(std::uint64_t count) = 0;
  // `count` hits failed CollectorOptions::conditions and are not delivered; told before those that
  // came after them.
  virtual void on_rejected(std::uint64_t /*count*/) {}
  // Only with CollectorOptions::tally_order.
  virtual void on_tally(const Tally& /*tally*/) {}
  // The variable may have been written before the samples that follow without a hit: hits were lost
  // (how many, if any, on_lost tells later), or a child process began that may share the memory.
  // Events may have been lost as well, which nothing else need tell.
  virtual void on_gap() {}
  // At its place among the samples, as far as their order is known.
  virtual void on_cpu(const CpuEvent&) {}
  // Some of the hits could not be counted: what on_lost told is a lower bound.
  virtual void on_lost_uncounted() {}
};

class Collector {
 public:
  Collector() = default;
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  // Removes everything from the target, as stop() does, if that was not done.
  virtual ~Collector() = default;

  // "bpf", "perf", "ptrace": as --collector takes it and the start line prints it.
  [[nodiscard]] virtual std::string_view name() const = 0;

  // Sets the plan's slots in every thread in scope, and in those that start later. All or nothing:
  // after an error nothing is left in the target. Errors: no_free_slot, permission_denied,
  // no_such_process, target_gone, limit_reached, not_supported; each with its sentence.
  [[nodiscard]] virtual Result<InstallReport> install(const TargetScope& scope, const Plan& plan,
                                                      const CollectorOptions& options) = 0;

  // Descriptors to poll(2) for input; readable means drain() has work. May change after drain(). A
  // collector that wants drain() called at intervals as well says so.
  [[nodiscard]] virtual std::span<const int> descriptors() const = 0;
  [[nodiscard]] virtual std::optional<Nanoseconds> drain_interval() const = 0;

  // Delivers what has arrived, in the order of Hit::time as far as it is known. Never blocks.
  // Returns after a bounded number of hits so that the caller can look at its clock; call again if
  // more_pending.
  struct Drained {
    bool more_pending = false;
    bool target_gone = false;  // nobody is left who could hit
  };
  [[nodiscard]] virtual Result<Drained> drain(SampleSink& sink) = 0;

  // Takes the slots out of every thread, delivers the rest, and accounts for every hit: after it,
  // hits delivered, rejected, tallied and reported lost are the number of hits there were, unless
  // on_lost_uncounted says otherwise. With bpf and reads watched, one for which the kernel had no
  // turn for the program is in none of them: its own reads are counted there. The target runs on.
  // Idempotent.
  virtual void stop(SampleSink& sink) = 0;
};

}  // namespace trapline::linux_port
