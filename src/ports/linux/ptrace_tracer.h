// Keeps debug registers set in every thread of some processes: the state machine behind the ptrace
// collector.
//
// All calls from the thread that constructed it, and one Tracer per thread: the kernel reports a
// new thread's first stop to its tracer before anything says whose it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ports/linux/collector.h"
#include "ports/linux/kept_sample.h"
#include "ports/linux/ptrace_sample.h"
#include "ports/linux/ptrace_step.h"
#include "ports/linux/ptrace_thread.h"
#include "ports/linux/remote_memory.h"
#include "trapline/watch/slot_table.h"

namespace trapline::linux_port {

class Tracer {
 public:
  Tracer(const TargetScope& scope, const Plan& plan, const Reservation& reservation,
         const CollectorOptions& options);
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  // Does not let go of anybody: begin_release does.
  ~Tracer() = default;

  // Traces every thread in scope, and asks each to stop so that it gets its registers. A process
  // that this thread traces already and that is stopped (LaunchedCommand) is taken over.
  [[nodiscard]] Result<void> attach();

  // Handles a bounded number of stops; true if there may be more, or soon will be. Never blocks. A
  // thread that could not be given its registers is remembered as failure().
  bool handle_stops(SampleSink& sink);

  // Asks every thread to stop so that it can be let go; call handle_stops until
  // released(). New threads are let go as they come. Idempotent.
  void begin_release();

  [[nodiscard]] bool empty() const { return threads_.empty(); }
  // Whether begin_release has let go of everybody it can: a main thread that has ended before its
  // process cannot be let go, nor needs it.
  [[nodiscard]] bool released() const;
  [[nodiscard]] std::size_t thread_count() const { return threads_.size(); }
  // Threads that run or sleep without registers. They cannot run a user instruction before they
  // stop and get them: the request to stop is pending.
  [[nodiscard]] std::size_t unprepared_count() const { return unprepared_; }
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }
  void forget_failure() { failure_.reset(); }

 private:
  struct PendingHit {
    SampleBuilder::Subject subject;
    KeptSample sample;
  };
  struct Thread {
    ProcessId pid;
    bool prepared = false;   // its debug registers are set
    bool announced = false;  // its start was reported, or it was there at the start
    bool exiting = false;
    // Of the instruction that it is taken over, without registers: hits to be delivered when it has
    // run. Only where traps come before the access.
    std::vector<PendingHit> pending = {};
    PtraceStep step = {};
  };
  struct Process {
    std::unique_ptr<RemoteMemory> memory;
    std::size_t threads = 0;
    bool in_scope = false;
  };

  [[nodiscard]] std::uintptr_t options() const;
  [[nodiscard]] bool is_taken_by_this_thread() const;
  [[nodiscard]] Result<void> take_over();
  [[nodiscard]] Result<std::size_t> attach_new_threads();
  [[nodiscard]] Result<bool> attach_thread(ThreadId tid);
  Thread& add(ThreadId tid, ProcessId pid, bool announced);
  void remove(ThreadId tid);

  void collect_stops();
  void collect_ends();
  void collect_from(ThreadId tid);

  void handle(const ThreadStop& stop, SampleSink& sink);
  void handle_end(const ThreadStop& stop, SampleSink& sink);
  void handle_in_scope(const ThreadStop& stop, Thread& thread, SampleSink& sink);
  void handle_release(const ThreadStop& stop, Thread& thread, SampleSink& sink);
  void rename_after_exec(ThreadId tid);
  // nullptr if nothing is known of it any more.
  [[nodiscard]] Thread* find_or_add(ThreadId tid);
  // False if the new thread is not in scope.
  [[nodiscard]] bool announce(ThreadId tid, Thread& thread, SampleSink& sink);
  void prepare(ThreadId tid, Thread& thread);
  // Delivers the hits of this stop. Returns the signal that is the program's own, or 0.
  [[nodiscard]] int deliver_hits(const ThreadStop& stop, Thread& thread, SampleSink& sink);
  // The same, and lets the thread run on: over the access first, where the trap came before it.
  void handle_signal(const ThreadStop& stop, Thread& thread, SampleSink& sink);
  // The thread has been taken over the instruction that trapped, or something came in between.
  // Delivers the hits if it has run. Returns the signal that is the program's own, or 0.
  int finish_step(const ThreadStop& stop, const PtraceStep::End& end, Thread& thread,
                  SampleSink& sink);

  TargetScope scope_;
  Plan plan_;
  Reservation reservation_;
  bool traps_before_access_;
  bool releasing_ = false;
  SampleBuilder samples_;
  std::unordered_map<std::int32_t, Thread> threads_;
  std::unordered_map<std::int32_t, Process> processes_;
  std::unordered_set<std::int32_t> exiting_;
  std::size_t unprepared_ = 0;
  std::optional<Failure> failure_;
  Nanoseconds last_sweep_;
  Nanoseconds last_stop_;
  std::vector<ThreadStop> stops_;
};

}  // namespace trapline::linux_port
