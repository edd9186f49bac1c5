// Whether an Armv7 instruction loads or stores: fault status registers do not tell for debug events
// (DFSR.WnR). Pure; builds on any host.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), A5.3 to A5.7 (ARM), A6.2 and A6.3 (Thumb), A7.7 (Advanced
// SIMD).
#pragma once

#include <cstdint>
#include <optional>

#include "trapline/base/access.h"

namespace trapline::instructions::armv7 {

// `instruction`: a word (ARM), a halfword, or the first halfword above the second (Thumb).
// read_write for a swap; nullopt for what does neither.
[[nodiscard]] std::optional<Access> access_of(std::uint32_t instruction, bool is_thumb);

}  // namespace trapline::instructions::armv7
