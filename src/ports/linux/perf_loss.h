// How many hits were lost: what was counted less what was delivered. Pure.
//
// The rings' own lost records say that something was lost, not how many hits: they count records
// about threads as well. So the number comes from the events' counts. While hits keep coming a
// count is only good for the past: it is settled once everything that was written before it was
// taken has been delivered, and then gives a lower bound, which never has to be taken back.
#pragma once

#include <cstdint>
#include <optional>

#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfLoss {
 public:
  void delivered() { ++delivered_; }

  // A record was lost somewhere.
  void suspect() { suspected_ = true; }
  // Whether counts should be taken now: something was lost, and the last ones are used up and not
  // too recent.
  [[nodiscard]] bool wants_count(Nanoseconds now) const {
    return suspected_ && !pending_ && now.value >= last_.value + kInterval;
  }
  // The events' total, taken at `now`.
  void counted(std::uint64_t total, Nanoseconds now) {
    pending_ = Pending{total, now};
    last_ = now;
    suspected_ = false;
  }

  // Everything up to `until` has been delivered: how many lost hits are to be reported.
  [[nodiscard]] std::uint64_t settle(Nanoseconds until) {
    if (!pending_ || pending_->when > until) return 0;
    const std::uint64_t total = pending_->total;
    pending_.reset();
    return settle_exactly(total);
  }
  // The same for a total that will not change any more.
  [[nodiscard]] std::uint64_t settle_exactly(std::uint64_t total) {
    const std::uint64_t known = delivered_ + reported_;
    const std::uint64_t missing = total > known ? total - known : 0;
    reported_ += missing;
    return missing;
  }

 private:
  static constexpr std::uint64_t kInterval = 250'000'000;
  struct Pending {
    std::uint64_t total = 0;
    Nanoseconds when;
  };

  std::uint64_t delivered_ = 0;
  std::uint64_t reported_ = 0;
  bool suspected_ = false;
  std::optional<Pending> pending_;
  Nanoseconds last_;
};

}  // namespace trapline::linux_port
