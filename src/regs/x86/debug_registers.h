// x86 debug registers DR0-DR3, DR6 and DR7: encode, decode, validate. Pure values; builds on any
// host.
//
// Source: Intel SDM vol. 3B, chapter 17.2 "Debug Registers" (figure 17-1), 17.2.4 "Debug Control
// Register (DR7)", 17.2.5 "Breakpoint Field Recognition"; AMD64 APM vol. 2, 13.1.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::regs::x86 {

inline constexpr std::size_t kSlots = 4;

// R/Wn, two bits: what breaks. 0b10 is I/O (with CR4.DE) and never used here.
enum class BreakOn : std::uint8_t { execute = 0b00, write = 0b01, io = 0b10, read_write = 0b11 };

// LENn, two bits. 0b10 is 8 bytes in 64-bit mode.
enum class LengthCode : std::uint8_t { one = 0b00, two = 0b01, eight = 0b10, four = 0b11 };

// One slot as DR0-DR3 and DR7 together describe it.
struct Slot {
  RemoteAddress address;
  ByteCount length;
  Access access = Access::write;

  friend constexpr bool operator==(const Slot&, const Slot&) = default;
};

// Errors: access_unsupported (read alone), bad_length (no such LEN; execute is length 1 in
// hardware), misaligned (the low address bits are ignored by the hardware, so that other bytes
// would be watched).
[[nodiscard]] std::expected<void, Error> validate(const Slot& slot);

// DR7 and the four address registers: what a thread or CPU holds. A value; writing it to hardware
// is somebody else's.
class DebugRegisters {
 public:
  // DR7 bit 10 always reads as one.
  static constexpr std::uint64_t kDr7Fixed = std::uint64_t{1} << 10;

  DebugRegisters() = default;
  // From register contents; every bit of dr7 that no slot uses is kept.
  DebugRegisters(const std::array<std::uint64_t, kSlots>& addresses, std::uint64_t dr7)
      : addresses_(addresses), dr7_(dr7) {}

  // Sets slot `index` and enables it locally (Ln). On error nothing changes; bad_length also for an
  // index >= kSlots.
  [[nodiscard]] std::expected<void, Error> set(SlotIndex index, const Slot& slot);
  // Disables slot `index` and clears its fields. Indices >= kSlots are ignored.
  void clear(SlotIndex index);
  // What slot `index` watches, or nothing if it is disabled or holds an encoding Trapline never
  // writes (I/O).
  [[nodiscard]] std::optional<Slot> get(SlotIndex index) const;

  [[nodiscard]] std::uint64_t address(SlotIndex index) const { return addresses_[index.value]; }
  [[nodiscard]] std::uint64_t dr7() const { return dr7_; }

  friend constexpr bool operator==(const DebugRegisters&, const DebugRegisters&) = default;

 private:
  std::array<std::uint64_t, kSlots> addresses_{};
  std::uint64_t dr7_ = kDr7Fixed;
};

// DR6, the status: which slots' conditions were met, and what else trapped. The hardware never
// clears it.
struct Dr6 {
  std::array<bool, kSlots>
      hit{};  // B0-B3: set even for slots that are not enabled; mask with what is enabled
  bool register_access = false;  // BD
  bool single_step = false;      // BS
  bool task_switch = false;      // BT

  [[nodiscard]] static Dr6 decode(std::uint64_t value);
};

}  // namespace trapline::regs::x86
