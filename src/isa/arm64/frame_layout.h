// arm64: the frame record, x29 and x30 (AAPCS64, 6.4.6 "The Frame Pointer").
#pragma once

#include <array>

#include "trapline/fault/detail/frame_layout.h"

namespace trapline::isa {

inline constexpr std::array kFrameLayouts{FrameLayout{0, 8}};

}  // namespace trapline::isa
