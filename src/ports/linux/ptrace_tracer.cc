#include "ports/linux/ptrace_tracer.h"

#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <tuple>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/ptrace_failure.h"

namespace trapline::linux_port {
namespace {

// Bounds the time between two looks of the caller at its clock; handling one takes microseconds.
constexpr std::size_t kStopsPerCall = 256;
// Ends are looked for one thread at a time, so not at every call.
constexpr Nanoseconds kSweepInterval{20'000'000};
// A program that hits in a loop stops again sooner than sleeping and being woken takes.
constexpr Nanoseconds kLinger{50'000};

}  // namespace

Tracer::Tracer(const TargetScope& scope, const Plan& plan, const Reservation& reservation,
               const CollectorOptions& options)
    : scope_(scope),
      plan_(plan),
      reservation_(reservation),
      traps_before_access_(native_debug_architecture().traps_before_access),
      samples_(plan, options,
               !scope.only_thread &&
                   is_private_memory(scope.pid, plan.slots().front().address, ByteCount{1})) {}

std::uintptr_t Tracer::options() const {
  std::uintptr_t wanted = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
  if (!scope_.only_thread) wanted |= PTRACE_O_TRACECLONE;
  if (scope_.follow_children) wanted |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  return wanted;
}

Tracer::Thread& Tracer::add(ThreadId tid, ProcessId pid, bool announced) {
  Process& process = processes_[pid.value];
  if (!process.memory) process.memory = std::make_unique<RemoteMemory>(pid);
  ++process.threads;
  ++unprepared_;
  Thread& thread = threads_[tid.value];
  thread = Thread{.pid = pid, .announced = announced};
  return thread;
}

void Tracer::remove(ThreadId tid) {
  const auto found = threads_.find(tid.value);
  if (found == threads_.end()) return;
  if (!found->second.prepared) --unprepared_;
  const auto process = processes_.find(found->second.pid.value);
  if (--process->second.threads == 0) processes_.erase(process);
  threads_.erase(found);
  exiting_.erase(tid.value);
}

bool Tracer::is_taken_by_this_thread() const {
  const auto status = read_status(scope_.pid);
  return status && status->tracer.value == ::gettid();
}

Result<void> Tracer::attach() {
  processes_[scope_.pid.value].in_scope = true;
  if (is_taken_by_this_thread()) return take_over();
  if (scope_.only_thread) {
    const auto attached = attach_thread(*scope_.only_thread);
    if (!attached) return std::unexpected(attached.error());
  } else {
    // A thread that is not traced yet may start others: until a pass finds nobody new. From then on
    // the kernel attaches them.
    while (true) {
      const auto fresh = attach_new_threads();
      if (!fresh) return std::unexpected(fresh.error());
      if (*fresh == 0) break;
    }
  }
  if (threads_.empty()) return std::unexpected(explain_seize_failure(scope_.pid, ESRCH));
  return {};
}

Result<void> Tracer::take_over() {
  const ThreadId tid{scope_.pid.value};
  if (const int error = set_options(tid, options()); error != 0)
    return std::unexpected(explain_seize_failure(scope_.pid, error));
  prepare(tid, add(tid, scope_.pid, true));
  if (failure_) {
    // As it was, for whoever launched it.
    remove(tid);
    std::ignore = set_options(tid, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
    return std::unexpected(*std::exchange(failure_, std::nullopt));
  }
  resume(tid, 0);
  return {};
}

Result<std::size_t> Tracer::attach_new_threads() {
  const auto tids = list_threads(scope_.pid);
  if (!tids) return std::unexpected(tids.error());
  std::size_t fresh = 0;
  for (const ThreadId tid : *tids) {
    if (threads_.contains(tid.value)) continue;
    const auto attached = attach_thread(tid);
    if (!attached) return std::unexpected(attached.error());
    if (*attached) ++fresh;
  }
  return fresh;
}

// False if it has ended.
Result<bool> Tracer::attach_thread(ThreadId tid) {
  const int error = seize(tid, options());
  if (error == 0) {
    interrupt(tid);
    add(tid, scope_.pid, true);
    return true;
  }
  if (error == ESRCH) return false;
  const auto status = read_status(scope_.pid, tid);
  if (!status || status->has_ended()) return false;
  if (status->tracer.value == ::gettid()) {
    // The kernel attached it when a traced thread made it.
    add(tid, scope_.pid, true);
    return true;
  }
  return std::unexpected(explain_seize_failure(scope_.pid, error));
}

bool Tracer::handle_stops(SampleSink& sink) {
  stops_.clear();
  collect_stops();
  collect_ends();
  // Collected before any is handled: a thread that hits all the time would otherwise come back to
  // the front of the kernel's list and keep the others waiting.
  for (const ThreadStop& stop : stops_) handle(stop, sink);
  const Nanoseconds now = monotonic_now();
  if (!stops_.empty()) last_stop_ = now;
  return now.value - last_stop_.value < kLinger.value;
}

void Tracer::collect_stops() {
  while (stops_.size() < kStopsPerCall) {
    const NextStop next = next_stop();
    if (next.unrelated) {
      for (const auto& [tid, thread] : threads_) collect_from(ThreadId{tid});
      return;
    }
    if (!next.stop) return;
    stops_.push_back(*next.stop);
  }
}

void Tracer::collect_ends() {
  for (const std::int32_t tid : exiting_) collect_from(ThreadId{tid});
  const Nanoseconds now = monotonic_now();
  if (now.value - last_sweep_.value < kSweepInterval.value) return;
  last_sweep_ = now;
  for (const auto& [tid, thread] : threads_) {
    if (!thread.exiting) collect_from(ThreadId{tid});
  }
}

void Tracer::collect_from(ThreadId tid) {
  const TakenStop taken = take_stop(tid);
  if (taken.stop) {
    stops_.push_back(*taken.stop);
  } else if (taken.gone) {
    // Already collected in this round, or taken away by an exec of another thread.
    const bool collected =
        std::ranges::any_of(stops_, [&](const ThreadStop& stop) { return stop.tid == tid; });
    if (!collected)
      stops_.push_back({.tid = tid, .kind = StopKind::ended, .wait_status = std::nullopt});
  }
}

void Tracer::handle(const ThreadStop& stop, SampleSink& sink) {
  if (stop.kind == StopKind::ended) {
    handle_end(stop, sink);
    return;
  }
  if (stop.kind == StopKind::exec) rename_after_exec(stop.tid);
  Thread* const thread = find_or_add(stop.tid);
  if (thread == nullptr) {
    detach(stop.tid, 0);
  } else if (releasing_) {
    handle_release(stop, *thread, sink);
  } else if (!announce(stop.tid, *thread, sink)) {
    detach(stop.tid, 0);
    remove(stop.tid);
  } else {
    handle_in_scope(stop, *thread, sink);
  }
}

void Tracer::handle_end(const ThreadStop& stop, SampleSink& sink) {
  const auto found = threads_.find(stop.tid.value);
  if (found == threads_.end()) return;
  Thread thread = std::move(found->second);
  // Whether what it was about to do was done is not known; that it was about to, is.
  for (PendingHit& hit : thread.pending) sink.on_sample(hit.sample.get());
  remove(stop.tid);
  if (!thread.announced) return;
  TargetEvent event{};
  event.pid = thread.pid;
  event.tid = stop.tid;
  if (thread.pid.value == stop.tid.value) {
    event.kind = TargetEvent::Kind::process_exited;
    event.wait_status = stop.wait_status;
  } else {
    event.kind = TargetEvent::Kind::thread_exited;
  }
  sink.on_event(event);
}

void Tracer::handle_in_scope(const ThreadStop& stop, Thread& thread, SampleSink& sink) {
  const bool can_run_on = stop.kind != StopKind::exec && stop.kind != StopKind::exiting;
  if (!thread.pending.empty() && stop.kind != StopKind::exiting) {
    const auto end = thread.step.end_at(stop);
    if (!end) return;
    const int signal = finish_step(stop, *end, thread, sink);
    if (stop.kind == StopKind::signal) {
      resume(stop.tid, signal);
      return;
    }
  }
  if (!thread.prepared && can_run_on) prepare(stop.tid, thread);
  switch (stop.kind) {
    case StopKind::signal:
      handle_signal(stop, thread, sink);
      return;
    case StopKind::group_stop:
      stay_stopped(stop.tid);
      return;
    case StopKind::new_thread:
      // Known from now on, so that its end is waited for even if it is killed before it stops.
      if (const auto started = event_thread(stop.tid)) std::ignore = find_or_add(*started);
      break;
    case StopKind::exec:
      // The kernel dropped the registers with the old program; nothing is left to watch.
      sink.on_event({.kind = TargetEvent::Kind::executed,
                     .pid = thread.pid,
                     .tid = stop.tid,
                     .parent = {},
                     .wait_status = std::nullopt});
      detach(stop.tid, 0);
      remove(stop.tid);
      return;
    case StopKind::exiting:
      thread.exiting = true;
      exiting_.insert(stop.tid.value);
      break;
    case StopKind::trap:
    case StopKind::ended:
      break;
  }
  resume(stop.tid, 0);
}

void Tracer::rename_after_exec(ThreadId tid) {
  // The thread that calls exec gets its process's id (ptrace(2), "execve(2) under ptrace").
  const auto former = event_thread(tid);
  if (!former || *former == tid) return;
  const auto found = threads_.find(former->value);
  if (found == threads_.end()) return;
  const Thread thread = std::move(found->second);
  remove(*former);
  if (!threads_.contains(tid.value)) add(tid, thread.pid, thread.announced);
}

Tracer::Thread* Tracer::find_or_add(ThreadId tid) {
  const auto found = threads_.find(tid.value);
  if (found != threads_.end()) return &found->second;
  const auto pid = process_of(tid);
  if (!pid) return nullptr;
  return &add(tid, *pid, false);
}

bool Tracer::announce(ThreadId tid, Thread& thread, SampleSink& sink) {
  if (thread.announced) return true;
  Process& process = processes_[thread.pid.value];
  // A process made by clone(2) with another signal than SIGCHLD is attached as threads are.
  if (!process.in_scope && !scope_.follow_children) return false;
  TargetEvent event{};
  event.pid = thread.pid;
  event.tid = tid;
  if (process.in_scope) {
    event.kind = TargetEvent::Kind::thread_started;
  } else {
    event.kind = TargetEvent::Kind::process_forked;
    if (const auto stat = read_thread_stat(thread.pid, tid)) event.parent = stat->parent;
    process.in_scope = true;
  }
  thread.announced = true;
  sink.on_event(event);
  return true;
}

void Tracer::prepare(ThreadId tid, Thread& thread) {
  const auto written = write_debug_registers(tid, plan_.slots(), reservation_.registers());
  if (written) {
    thread.prepared = true;
    --unprepared_;
  } else if (written.error().code != ErrorCode::target_gone && !failure_) {
    failure_ = explain_register_failure(thread.pid, tid, written.error());
  }
}

void Tracer::handle_signal(const ThreadStop& stop, Thread& thread, SampleSink& sink) {
  const int signal = deliver_hits(stop, thread, sink);
  if (thread.pending.empty()) {
    resume(stop.tid, signal);
    return;
  }
  // Without registers, or it would trap at the same instruction again. The program's own SIGTRAP
  // that came together with the hit's is as good as lost: there is one signal of a number.
  std::ignore = clear_debug_registers(stop.tid);
  const auto begun = thread.step.begin(stop.tid);
  if (begun) return;
  if (begun.error().code != ErrorCode::target_gone && !failure_)
    failure_ = explain_register_failure(thread.pid, stop.tid, begun.error());
  resume(stop.tid, signal);
}

int Tracer::finish_step(const ThreadStop& stop, const PtraceStep::End& end, Thread& thread,
                        SampleSink& sink) {
  Process& process = processes_[thread.pid.value];
  for (PendingHit& hit : thread.pending) {
    // A signal came first: the instruction is still to run, and will trap again.
    if (!end.has_run) continue;
    Sample& sample = hit.sample.get();
    if (sample.hit.access != Access::execute)
      sample.hit.new_value = samples_.read_value(hit.subject, *process.memory);
    if (end.ran_sequence) sample.registers = {};
    sink.on_sample(sample);
  }
  thread.pending.clear();
  if (!releasing_ && stop.kind != StopKind::exec) {
    ++unprepared_;
    thread.prepared = false;
    prepare(stop.tid, thread);
  }
  return end.is_own_stop ? 0 : stop.signal;
}

int Tracer::deliver_hits(const ThreadStop& stop, Thread& thread, SampleSink& sink) {
  if (stop.signal != SIGTRAP) return stop.signal;
  const std::uint32_t fired = take_fired_registers(stop.tid);
  Process& process = processes_[thread.pid.value];
  bool was_hit = false;
  for (std::size_t slot = 0; slot < plan_.slots().size(); ++slot) {
    if ((fired >> reservation_.registers()[slot].value & 1) == 0) continue;
    was_hit = true;
    const SampleBuilder::Subject subject{.pid = thread.pid,
                                         .tid = stop.tid,
                                         .time = monotonic_now(),
                                         .slot = slot,
                                         .only_thread = process.threads == 1};
    const Sample* const sample = samples_.build(subject, *process.memory);
    if (sample == nullptr) {
      sink.on_lost(1);
    } else if (traps_before_access_ && !releasing_) {
      thread.pending.push_back({subject, KeptSample(*sample)});
    } else {
      sink.on_sample(*sample);
    }
  }
  // The program's own SIGTRAP (int3, single step, kill) may have swallowed the one of a hit: the
  // kernel queues one signal of a number. The program still gets its own.
  const auto info = signal_info(stop.tid);
  const bool is_of_hit = was_hit && info && info->si_code == TRAP_HWBKPT;
  // Another stop came between a step and its signal. Nobody else steps a program that we trace.
  const bool is_of_step = traps_before_access_ && info && info->si_code == TRAP_TRACE;
  return is_of_hit || is_of_step ? 0 : SIGTRAP;
}

bool Tracer::released() const {
  return std::ranges::all_of(threads_, [](const auto& entry) {
    return entry.second.exiting && entry.second.pid.value == entry.first;
  });
}

void Tracer::begin_release() {
  releasing_ = true;
  for (const auto& [tid, thread] : threads_) interrupt(ThreadId{tid});
}

void Tracer::handle_release(const ThreadStop& stop, Thread& thread, SampleSink& sink) {
  int signal = 0;
  if (!thread.pending.empty()) {
    const auto end = thread.step.end_at(stop);
    if (!end) return;
    signal = finish_step(stop, *end, thread, sink);
    if (stop.kind != StopKind::signal) signal = 0;
  } else if (stop.kind == StopKind::signal) {
    signal = deliver_hits(stop, thread, sink);
  }
  if (stop.kind == StopKind::new_thread) {
    if (const auto started = event_thread(stop.tid)) std::ignore = find_or_add(*started);
  }
  std::ignore = clear_debug_registers(stop.tid);
  if (has_pending_trap(stop.tid)) {
    // Its SIGTRAP comes next, and would kill the process if nobody took it.
    resume(stop.tid, signal);
    return;
  }
  detach(stop.tid, signal);
  remove(stop.tid);
}

}  // namespace trapline::linux_port
