// The general registers of a thread in user mode, as they were at a hit.
//
// Numbered as perf numbers them (uapi/asm/perf_regs.h of each architecture), because that ABI is
// stable and every collector can map to it. A register that was not captured is absent.
// Freestanding; a plain value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace trapline {

// enum perf_event_x86_regs.
// clang-format off
enum class X86Register : std::uint8_t {
  ax, bx, cx, dx, si, di, bp, sp, ip, flags, cs, ss, ds, es, fs, gs, r8, r9, r10, r11, r12, r13, r14, r15,
};
// clang-format on

struct UserRegisters {
  static constexpr std::size_t kCapacity = 33;  // arm64 has the most: x0-x30, sp, pc

  std::array<std::uint64_t, kCapacity> values{};
  std::uint64_t captured = 0;  // bit n: values[n] is known

  constexpr void set(std::size_t number, std::uint64_t value) {
    values[number] = value;
    captured |= std::uint64_t{1} << number;
  }
  [[nodiscard]] constexpr std::optional<std::uint64_t> get(std::size_t number) const {
    if (number >= kCapacity || (captured >> number & 1) == 0) return std::nullopt;
    return values[number];
  }
  [[nodiscard]] constexpr std::optional<std::uint64_t> get(X86Register name) const {
    return get(static_cast<std::size_t>(name));
  }
};

}  // namespace trapline
