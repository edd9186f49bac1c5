// What the collectors on perf events have in common: a session that is there from install() to
// stop().
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "ports/linux/collector.h"
#include "ports/linux/perf_ring_set.h"

namespace trapline::linux_port {

// `Session` has descriptors(), drain(sink) and finish(sink). Interface: Collector, or one derived
// from it.
template <typename Session, typename Interface = Collector>
class PerfSessionCollector : public Interface {
 public:
  [[nodiscard]] std::string_view name() const override { return "perf"; }

  [[nodiscard]] std::span<const int> descriptors() const override {
    return session_ ? session_->descriptors() : std::span<const int>{};
  }
  [[nodiscard]] std::optional<Nanoseconds> drain_interval() const override {
    return PerfRingSet::kLookInterval;
  }
  [[nodiscard]] Result<Collector::Drained> drain(SampleSink& sink) override {
    if (!session_)
      return fail(ErrorCode::wrong_state, "there is nothing to read: install a watch first");
    return session_->drain(sink);
  }
  void stop(SampleSink& sink) override {
    if (!session_) return;
    session_->finish(sink);
    session_.reset();
  }

 protected:
  // Errors: wrong_state if a watch was installed already.
  [[nodiscard]] Result<void> check_is_unused() const {
    if (!session_) return {};
    return fail(ErrorCode::wrong_state,
                "a collector installs one watch: make another collector for another watch");
  }

  std::unique_ptr<Session> session_;
};

}  // namespace trapline::linux_port
