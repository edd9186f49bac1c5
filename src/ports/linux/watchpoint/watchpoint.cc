#include "trapline/linux/watchpoint.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/privileges.h"
#include "ports/linux/self_test.h"
#include "ports/linux/watchpoint/thread_events.h"
#include "ports/linux/watchpoint/watch_table.h"

namespace trapline {
namespace {

using linux_port::ThreadEvents;
using linux_port::watch_table;
using linux_port::WatchDescription;
using linux_port::WatchTable;

// The kernel does not step over such an access when the hit is a signal: the program would hang at
// its first hit.
bool traps_before_access() {
  return linux_port::native_debug_architecture().traps_before_access;
}

// Whether registers fire does not change while the machine runs.
std::expected<void, Error> prove_hardware() {
  static constinit std::atomic<bool> is_proved{false};
  if (is_proved.load(std::memory_order_relaxed)) return {};
  const auto tested = linux_port::self_test_perf();
  if (!tested) return std::unexpected(tested.error().error);
  is_proved.store(true, std::memory_order_relaxed);
  return {};
}

std::string advice_on_limit(int os_errno) {
  switch (os_errno) {
    case EMFILE:
      return "each thread takes a descriptor for each debug register, and this process has no "
             "more: raise its limit (ulimit -n)";
    case ENFILE:
      return "each thread takes a descriptor for each debug register, and the whole system has no "
             "more: raise its limit (sysctl fs.file-max)";
    case ENOMEM:
      return "there is no memory for the events of all threads: create the watchpoint while there "
             "are fewer threads, or watch fewer bytes";
    default:
      return "other code has taken SIGTRAP or a signal of faults from Trapline too often: create "
             "watchpoints after all other signal handlers have been installed";
  }
}

}  // namespace

class Watchpoint::Impl {
 public:
  explicit Impl(WatchDescription description) : description_(std::move(description)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Whoever handles the signal comes before the first event that raises it.
  std::expected<void, Error> install() {
    if (const auto taken = linux_port::take_traps(); !taken) return taken;
    place_ = watch_table().add(description_);
    if (!place_) return std::unexpected(Error{ErrorCode::no_free_slot});
    auto opened = ThreadEvents::open(description_.plan, [this](std::size_t slot) {
      return watch_table().number_of(*place_, slot);
    });
    if (!opened) return std::unexpected(opened.error());
    events_ = *std::move(opened);
    // Once more: what was written before the last event was there has not been told.
    watch_table().remember_values(*place_);
    return {};
  }

  // First no hits, then no handlers, then nothing for a handler to look at.
  ~Impl() {
    if (!place_) return;
    if (::getpid() == owner_) {
      if (events_) events_->disable();
      watch_table().remove(*place_);
    } else {
      watch_table().remove_after_fork(*place_);
    }
  }

  [[nodiscard]] std::uint64_t count() const { return events_->count(); }

 private:
  WatchDescription description_;
  std::optional<WatchTable::Place> place_;
  std::optional<ThreadEvents> events_;
  pid_t owner_ = ::getpid();
};

std::expected<Watchpoint, Error> Watchpoint::create(const Request& request,
                                                    WatchpointHandler handler,
                                                    const WatchpointOptions& options) {
  if (!handler) return std::unexpected(Error{ErrorCode::wrong_state});
  if (traps_before_access()) return std::unexpected(Error{ErrorCode::not_supported});
  const auto plan = make_plan(request, linux_port::native_debug_architecture());
  if (!plan) return std::unexpected(plan.error());
  if (options.self_test) {
    if (const auto proved = prove_hardware(); !proved) return std::unexpected(proved.error());
  }
  auto impl = std::make_unique<Impl>(
      WatchDescription{request, *plan, std::move(handler),
                       std::min(options.callers, WatchpointOptions::kMostCallers)});
  if (const auto installed = impl->install(); !installed) return std::unexpected(installed.error());
  return Watchpoint(std::move(impl));
}

Watchpoint::Watchpoint() = default;
Watchpoint::Watchpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Watchpoint::Watchpoint(Watchpoint&& other) noexcept = default;
Watchpoint& Watchpoint::operator=(Watchpoint&& other) noexcept = default;
Watchpoint::~Watchpoint() = default;

std::uint64_t Watchpoint::count() const {
  return impl_ ? impl_->count() : 0;
}

std::string advice_on(const Error& error) {
  switch (error.code) {
    case ErrorCode::empty_range:
      return "there is nothing to watch: give an object of at least one byte";
    case ErrorCode::range_wraps:
      return "the range passes the end of the address space: check its length";
    case ErrorCode::range_too_long:
      return "the object is longer than the debug registers cover (x86-64: 4 of 8 aligned bytes): "
             "watch one of its members";
    case ErrorCode::bad_length:
    case ErrorCode::misaligned:
      return "the kernel takes no watch of this address, most likely because it is not the "
             "program's: give an address of this process";
    case ErrorCode::access_unsupported:
      return "this CPU cannot tell reads from writes: ask for Access::read_write";
    case ErrorCode::no_free_slot:
      return "too few debug registers are free in a thread of this process: destroy another "
             "Watchpoint, watch fewer bytes, or close the debugger or profiler that holds them "
             "(trapline doctor names it)";
    case ErrorCode::permission_denied: {
      const auto privileges = linux_port::Privileges::of_this_process();
      const std::string why = linux_port::perf_obstacle(privileges);
      return (why.empty() ? std::string("perf_event_open is forbidden here, most likely by the "
                                        "seccomp filter of a container: allow that call")
                          : why) +
             "; or watch from outside: trapline watch --collector ptrace";
    }
    case ErrorCode::no_hardware:
      return "the debug registers of this machine accept a watch but never fire, as under some "
             "hypervisors: run on hardware or a virtual machine that provides them";
    case ErrorCode::not_supported:
      if (traps_before_access())
        return "a CPU of this architecture traps before the access, and would do so again each "
               "time the handler returns: watch from outside: trapline watch";
      return "this kernel has no perf events that raise SIGTRAP (Linux 5.13 and later have): "
             "update it, or watch from outside: trapline watch";
    case ErrorCode::limit_reached:
      return advice_on_limit(error.os_errno);
    case ErrorCode::timed_out:
      return "threads start faster than they can be looked at: create the watchpoint earlier";
    case ErrorCode::wrong_state:
      return "a watchpoint needs a handler: give it a function";
    default:
      return "the watch could not be set (" + std::string(name_of(error.code)) + ", errno " +
             std::to_string(error.os_errno) + "): try trapline doctor";
  }
}

std::size_t watchpoint_stack_bytes() {
  // Of signals, one in the handler of the other: the hit, a hit of what its handler accesses, and
  // the fault of a guarded load in either. Ours is measured (watchpoint_test).
  constexpr std::size_t kSignals = 3;
  constexpr std::size_t kOurs = 4096;
  return kSignals * fault::fault_stack_bytes() + kOurs;
}

}  // namespace trapline
