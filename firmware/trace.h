// Prints what the state machine does, while it is switched on.
#pragma once

#include <atomic>

#include "trapline/hotplug/trace.h"

namespace trapline::firmware {

class PrintingTracer final : public hotplug::Tracer {
 public:
  void switch_to(bool on) { is_on_ = on; }
  [[nodiscard]] bool is_on() const { return is_on_; }
  void on_trace(const hotplug::TraceEvent& event) override;

 private:
  std::atomic<bool> is_on_{false};
};

}  // namespace trapline::firmware
