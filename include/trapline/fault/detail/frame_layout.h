// Where a function that keeps a frame pointer has saved its caller's: one table per architecture.
//
// Only for the headers of isa. Freestanding.
#pragma once

#include <cstddef>

namespace trapline::isa {

// Distances in bytes from where the frame pointer points.
struct FrameLayout {
  std::ptrdiff_t saved_frame;
  std::ptrdiff_t return_address;
};

}  // namespace trapline::isa
