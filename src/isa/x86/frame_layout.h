// x86-64: push rbp; mov rbp, rsp, below the return address that the call has pushed (System V ABI,
// AMD64 supplement, figure 3.3).
#pragma once

#include <array>

#include "trapline/fault/detail/frame_layout.h"

namespace trapline::isa {

inline constexpr std::array kFrameLayouts{FrameLayout{0, 8}};

}  // namespace trapline::isa
