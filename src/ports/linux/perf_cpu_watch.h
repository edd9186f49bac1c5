// One plan set on CPUs: breakpoint events that fire for whatever runs there.
//
// An instance of a multi-instance hotplug state: the state's callbacks open the events on each CPU
// that comes and close them on each that goes, since an event is dead once its CPU was offline.
// Synchronised: callbacks come from hotplug threads, the rest from the thread that owns the watch.
#pragma once

#include <linux/perf_event.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "ports/linux/perf_event.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/hotplug/state.h"

namespace trapline::linux_port {

class PerfCpuWatch final : public hotplug::Instance {
 public:
  // What a collector does with each event before it is enabled, so that its hits get there. The
  // error is an errno. Called as install() is.
  using Connect = std::function<std::expected<void, int>(const PerfEvent&, CpuId)>;

  // One event per element of `attributes` and CPU.
  PerfCpuWatch(std::vector<perf_event_attr> attributes, Connect connect)
      : attributes_(std::move(attributes)), connect_(std::move(connect)) {}

  // The state's callbacks. All of a CPU's events are opened or none.
  [[nodiscard]] std::expected<void, Error> install(const hotplug::CallbackContext& context);
  [[nodiscard]] std::expected<void, Error> remove(const hotplug::CallbackContext& context);

  // From now on a CPU that refuses is left without events instead of failing install: other
  // watches, and the CPU itself, go on.
  void tolerate_refusals();

  struct Refusal {
    int error = 0;         // errno
    std::size_t slot = 0;  // index into attributes
  };
  [[nodiscard]] std::map<CpuId, Refusal> refusals() const;
  // Opens the CPU's events, anew if there are some; refusals() tells if that failed. Under the
  // hotplug read lock.
  void reopen(CpuId cpu);

  // Of the first event on each CPU, PerfEvent::enabled_time.
  [[nodiscard]] std::map<CpuId, Nanoseconds> enabled_times() const;

  // All hits counted so far, on CPUs that have gone too.
  [[nodiscard]] PerfHitTotal total() const;

 private:
  [[nodiscard]] std::expected<std::vector<PerfEvent>, Refusal> open_all(CpuId cpu) const;
  // Both under mutex_.
  [[nodiscard]] std::expected<void, Refusal> open(CpuId cpu);
  void close(CpuId cpu);

  const std::vector<perf_event_attr> attributes_;
  const Connect connect_;
  mutable std::mutex mutex_;  // guards what follows
  bool tolerates_refusals_ = false;
  std::map<CpuId, std::vector<PerfEvent>> events_;
  std::map<CpuId, Refusal> refusals_;
  PerfHitTotal ended_;  // of events that are closed
};

}  // namespace trapline::linux_port
