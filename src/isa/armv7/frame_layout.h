// Armv7: two ways to keep a frame are in use, in one process too.
//
// The frame record of AAPCS32 (2019 and later), which clang writes: push {r11, lr}; mov r11, sp.
// GCC in ARM state points at the last word that it pushed: push {fp, lr}; add fp, sp, #4. (In Thumb
// state GCC's r7 is below the locals: nothing can be found from it.) Who called the outermost frame
// of GCC's, which saved a zero, is not told: a zero may be anything.
#pragma once

#include <array>

#include "trapline/fault/detail/frame_layout.h"

namespace trapline::isa {

inline constexpr std::array kFrameLayouts{FrameLayout{0, 4}, FrameLayout{-4, 0}};

}  // namespace trapline::isa
