// A sample that outlives the call it was given in.
#pragma once

#include <cstddef>
#include <vector>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

class KeptSample {
 public:
  explicit KeptSample(const Sample& sample)
      : sample_(sample),
        callers_(sample.hit.callers.begin(), sample.hit.callers.end()),
        stack_(sample.stack_bytes.begin(), sample.stack_bytes.end()) {}

  // Borrowed: valid until this one is moved or ends.
  [[nodiscard]] Sample& get() {
    sample_.hit.callers = callers_;
    sample_.stack_bytes = stack_;
    return sample_;
  }

 private:
  Sample sample_;
  std::vector<RemoteAddress> callers_;
  std::vector<std::byte> stack_;
};

}  // namespace trapline::linux_port
