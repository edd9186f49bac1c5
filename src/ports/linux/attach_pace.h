// How often the list of threads is read. A thread that was being cloned when its creator's events
// were set may have inherited none, and is not on the list yet: so that is read on a moment after
// it first showed nobody without events. Once: where threads keep starting, those that turn up in
// that moment have nearly all inherited, and waiting for more of them would not end. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "trapline/base/units.h"

namespace trapline::linux_port {

class AttachPace {
 public:
  // A clone(2) takes microseconds, unless it is preempted, which is likely only where many are
  // made. No longer: nobody takes hits out of the rings meanwhile, and the default ones fill in 30
  // ms at full speed.
  static constexpr Nanoseconds kSettlesWhereNobodyStarts{5'000'000};
  static constexpr Nanoseconds kSettlesWhereSomebodyStarts{20'000'000};

  // After each list, with the number of threads on it that need events: how long to wait before the
  // next, if there are to be more.
  [[nodiscard]] std::optional<Nanoseconds> after_list(std::size_t unwatched) {
    if (std::exchange(is_first_, false)) return Nanoseconds{0};
    if (unwatched != 0) {
      settle_ = kSettlesWhereSomebodyStarts;
      return Nanoseconds{0};
    }
    if (std::exchange(has_waited_, true)) return std::nullopt;
    return settle_;
  }

 private:
  bool is_first_ = true;  // everybody is new
  bool has_waited_ = false;
  Nanoseconds settle_ = kSettlesWhereNobodyStarts;
};

}  // namespace trapline::linux_port
