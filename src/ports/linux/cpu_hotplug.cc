#include "trapline/linux/cpu_hotplug.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <sstream>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "ports/linux/blocked_signals.h"
#include "ports/linux/cpu_changes.h"
#include "ports/linux/cpu_files.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/proc_fs.h"
#include "trapline/base/units.h"

namespace trapline {
namespace {

using linux_port::CpuChange;
using linux_port::CpuChangeSource;
using linux_port::CpuFiles;
using linux_port::FileDescriptor;
using linux_port::LinuxHotplugPort;

static_assert(HotplugPort<LinuxHotplugPort>);

// The kernel sends its events to network namespaces of the initial user namespace only
// (lib/kobject_uevent.c, uevent_net_broadcast_untagged); in another the socket opens and stays
// silent.
bool is_initial_user_namespace() {
  const auto map = linux_port::read_file("/proc/self/uid_map");
  std::uint64_t inside = 1;
  std::uint64_t outside = 1;
  std::uint64_t count = 0;
  std::istringstream(map.value_or("")) >> inside >> outside >> count;
  constexpr std::uint64_t kAllIds = 4'294'967'295;  // user_namespaces(7)
  return inside == 0 && outside == 0 && count == kAllIds;
}

std::uint32_t limit_of(const CpuSet& possible) {
  std::uint32_t limit = 0;
  possible.for_each([&](CpuId cpu) { limit = std::max(limit, cpu.value + 1); });
  return limit;
}

}  // namespace

struct CpuHotplug::Impl {
  Impl(const CpuHotplugOptions& wanted, std::uint32_t limit, CpuChangeSource changes)
      : options(wanted),
        port(wanted.cpu_folder, wanted.fences),
        cpus(limit),
        states(wanted.layout.count()),
        machine(port, wanted.layout, cpus, states, wanted.tracer),
        source(std::move(changes)),
        hears_events(source.descriptor().has_value() && is_initial_user_namespace()) {}

  [[nodiscard]] std::expected<void, Error> handle_changes(bool look);
  void apply(const CpuChange& change);
  void monitor(const std::stop_token& stop);
  void watch_for_hung_callbacks(const std::stop_token& stop);
  void begin_threads();

  const CpuHotplugOptions options;
  LinuxHotplugPort port;
  std::vector<hotplug::CpuRecord> cpus;
  std::vector<hotplug::StateRecord> states;
  const Nanoseconds began = port.now();
  Machine machine;
  // Guards source, and makes whoever reconciles wait for what is under way.
  std::mutex source_mutex;
  CpuChangeSource source;
  // CPUs that were online, and gone again before they could be brought up: since when. Guarded,
  // too.
  std::map<CpuId, Nanoseconds> missed_since;
  const bool hears_events;
  FileDescriptor wake;  // written to when the monitor is to end
  // Last: they are joined before anything they use is gone.
  std::jthread monitor_thread;
  std::jthread watchdog_thread;
};

std::expected<void, Error> CpuHotplug::Impl::handle_changes(bool look) {
  const std::lock_guard lock(source_mutex);
  std::vector<CpuChange> changes;
  const auto collected = source.collect(changes, look);
  for (const CpuChange& change : changes) apply(change);
  return collected;
}

void CpuHotplug::Impl::apply(const CpuChange& change) {
  // What goes wrong is in the CPU's status, and was traced. News of what we did ourselves are no
  // news.
  if (change.kind == CpuChange::Kind::came_online) {
    linux_port::CpuArrival arrival{.learned = change.time,
                                   .earliest = change.earliest.value_or(began)};
    if (const auto missed = missed_since.extract(change.cpu))
      arrival.earliest = std::min(arrival.earliest, missed.mapped());
    const auto arrived =
        machine.cpu_arrived(change.cpu, [&] { return port.expect_arrival(change.cpu, arrival); });
    if (!arrived) missed_since.emplace(change.cpu, arrival.earliest);
    port.forget_expectation(change.cpu);
  } else {
    std::ignore = machine.cpu_lost(change.cpu, [&] { return port.has_gone(change.cpu); });
  }
}

void CpuHotplug::Impl::monitor(const std::stop_token& stop) {
  const Nanoseconds interval = hears_events ? kReconcileWithEvents : kReconcileWithoutEvents;
  Nanoseconds next_look{port.now().value + interval.value};
  while (!stop.stop_requested()) {
    // poll(2) passes over a descriptor of -1.
    pollfd entries[] = {{.fd = wake.get(), .events = POLLIN, .revents = 0},
                        {.fd = source.descriptor().value_or(-1), .events = POLLIN, .revents = 0}};
    const std::uint64_t left =
        next_look.value - std::min(next_look.value, port.now().value) + kNanosecondsPerMillisecond;
    ::poll(entries, std::size(entries), static_cast<int>(left / kNanosecondsPerMillisecond));
    if (stop.stop_requested()) return;
    // The socket wakes for every device's events: a look is due by the clock.
    const bool look = port.now() >= next_look;
    if (look) next_look.value = port.now().value + interval.value;
    // An error of sysfs is one of this moment; the next look comes.
    std::ignore = handle_changes(look);
  }
}

void CpuHotplug::Impl::watch_for_hung_callbacks(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any ended;
  std::unique_lock lock(mutex);
  const std::chrono::nanoseconds interval(
      std::max<std::uint64_t>(options.hung_limit.value / 4, kNanosecondsPerMillisecond));
  while (!stop.stop_requested()) {
    ended.wait_for(lock, stop, interval, [] { return false; });
    machine.check_hung(options.hung_limit);
  }
}

void CpuHotplug::Impl::begin_threads() {
  // Signals are the application's own threads' business.
  const linux_port::BlockedSignals blocked;
  monitor_thread = std::jthread([this](const std::stop_token& stop) { monitor(stop); });
  if (options.tracer != nullptr)
    watchdog_thread =
        std::jthread([this](const std::stop_token& stop) { watch_for_hung_callbacks(stop); });
}

CpuHotplug::CpuHotplug(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

CpuHotplug::~CpuHotplug() {
  impl_->monitor_thread.request_stop();
  const std::uint64_t one = 1;
  // An eventfd takes any number that fits.
  (void)!::write(impl_->wake.get(), &one, sizeof one);
}

std::expected<std::unique_ptr<CpuHotplug>, Error> CpuHotplug::start(
    const CpuHotplugOptions& options) {
  const CpuFiles files(options.cpu_folder);
  const auto possible = files.possible();
  if (!possible) return std::unexpected(possible.error());
  auto source = CpuChangeSource::open(
      files, options.listen ? CpuChangeSource::Events::listen : CpuChangeSource::Events::ignore);
  if (!source) return std::unexpected(source.error());
  const CpuSet online = source->online();
  // Only what cannot be had for lack of memory or threads throws here.
  try {
    auto impl = std::make_unique<Impl>(options, limit_of(*possible), *std::move(source));
    impl->wake = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!impl->wake.is_open()) return std::unexpected(Error{ErrorCode::limit_reached, errno});
    const Nanoseconds now = impl->port.now();
    online.for_each([&](CpuId cpu) {
      // No states yet: nothing can fail but a CPU that has just gone, and its event will come.
      impl->apply({.cpu = cpu,
                   .kind = CpuChange::Kind::came_online,
                   .time = now,
                   .earliest = now,
                   .inferred = true});
    });
    impl->begin_threads();
    return std::unique_ptr<CpuHotplug>(new CpuHotplug(std::move(impl)));
  } catch (const std::system_error& error) {
    return std::unexpected(Error{ErrorCode::limit_reached, error.code().value()});
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error{ErrorCode::limit_reached, ENOMEM});
  }
}

CpuHotplug::Machine& CpuHotplug::machine() {
  return impl_->machine;
}

std::uint32_t CpuHotplug::cpu_limit() const {
  return static_cast<std::uint32_t>(impl_->cpus.size());
}

bool CpuHotplug::hears_events() const {
  return impl_->hears_events;
}

std::expected<void, Error> CpuHotplug::reconcile() {
  if (impl_->port.reader_slot().in_callback) return std::unexpected(Error{ErrorCode::in_callback});
  if (impl_->machine.online_cpus().read_lock_held())
    return std::unexpected(Error{ErrorCode::lock_held});
  return impl_->handle_changes(/*look=*/true);
}

std::optional<linux_port::CpuArrival> CpuHotplug::arrival(CpuId cpu) const {
  return impl_->port.arrival(cpu);
}

std::optional<bool> CpuHotplug::has_stayed_online(CpuId cpu) const {
  return impl_->port.has_stayed_online(cpu);
}

}  // namespace trapline
