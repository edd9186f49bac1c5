// What call-frame information says of a function's frame at one instruction.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "symbols/process_image.h"
#include "trapline/base/address.h"

namespace trapline::symbols {

class FrameState {
 public:
  // Borrows the image, which must outlive it.
  explicit FrameState(ProcessImage& image) : image_(image) {}

  // True if the return address is still where the call has left it, the word at the stack pointer
  // or the link register: a function's first instruction, or a leaf that never makes a frame. A
  // walk along frame pointers misses the caller there. False if there is no information. Cached.
  [[nodiscard]] bool returns_as_called(RemoteAddress ip);

  void clear() { known_.clear(); }

 private:
  [[nodiscard]] bool look_up(RemoteAddress ip) const;

  ProcessImage& image_;
  std::unordered_map<std::uint64_t, bool> known_;  // bounded
};

}  // namespace trapline::symbols
