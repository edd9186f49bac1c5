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

// enum perf_event_arm64_regs: x0 to x30 are 0 to 30; of these, the frame pointer and the link
// register.
enum class Arm64Register : std::uint8_t { fp = 29, lr = 30, sp = 31, pc = 32 };

// enum perf_event_arm_regs: r0 to r10 are 0 to 10. perf has no number for the status register.
enum class ArmRegister : std::uint8_t { fp = 11, ip = 12, sp = 13, lr = 14, pc = 15, cpsr = 16 };

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
  [[nodiscard]] constexpr std::optional<std::uint64_t> get(Arm64Register name) const {
    return get(static_cast<std::size_t>(name));
  }
  [[nodiscard]] constexpr std::optional<std::uint64_t> get(ArmRegister name) const {
    return get(static_cast<std::size_t>(name));
  }
};

}  // namespace trapline
