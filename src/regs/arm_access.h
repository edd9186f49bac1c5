// The load/store control field of Arm's watchpoints, the same in Armv7 and AArch64 (DBGWCR.LSC,
// bits 4:3).
#pragma once

#include <cstdint>
#include <optional>

#include "trapline/base/access.h"

namespace trapline::regs {

[[nodiscard]] constexpr std::optional<std::uint32_t> load_store_control(Access access) {
  switch (access) {
    case Access::read:
      return 0b01;
    case Access::write:
      return 0b10;
    case Access::read_write:
      return 0b11;
    case Access::execute:
      return std::nullopt;
  }
  return std::nullopt;
}

[[nodiscard]] constexpr std::optional<Access> access_of_load_store_control(std::uint32_t field) {
  switch (field) {
    case 0b01:
      return Access::read;
    case 0b10:
      return Access::write;
    case 0b11:
      return Access::read_write;
    default:
      return std::nullopt;  // reserved
  }
}

}  // namespace trapline::regs
