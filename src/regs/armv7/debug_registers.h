// Armv7 breakpoint and watchpoint registers (CP14): encode, decode, validate. Pure values; builds
// on any host.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), C11.11: DBGBCR, DBGBVR, DBGWCR, DBGWVR, DBGDIDR; C3 "Debug
// Events".
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::regs::armv7 {

// DBGWCR.PAC and DBGBCR.PMC: in which modes the event is generated.
enum class Privilege : std::uint8_t { privileged = 0b01, user = 0b10, any = 0b11 };

struct Watchpoint {
  RemoteAddress address;  // of the first byte
  ByteCount
      length;  // 1 to 8, inside one doubleword; a CPU with a four-bit BAS has 4 (see Identity)
  Access access = Access::write;
  Privilege privilege = Privilege::any;

  friend constexpr bool operator==(const Watchpoint&, const Watchpoint&) = default;
};

struct WatchpointPair {
  std::uint32_t value = 0;    // DBGWVR: the word's or doubleword's address
  std::uint32_t control = 0;  // DBGWCR

  friend constexpr bool operator==(const WatchpointPair&, const WatchpointPair&) = default;
};

// `window`: 4 or 8, how many bytes one watchpoint of this CPU can select among. Errors: bad_length
// (0, or across the window's end), range_wraps (an address above 32 bits), access_unsupported
// (execute).
[[nodiscard]] std::expected<WatchpointPair, Error> encode(const Watchpoint& watchpoint,
                                                          ByteCount window);
// nullopt: disabled, linked, masked, bytes that are not one run, reserved encodings.
[[nodiscard]] std::optional<Watchpoint> decode(const WatchpointPair& pair);

// Which instruction set the code at a breakpoint is in: it decides how many of the word's bytes are
// matched.
enum class InstructionSet : std::uint8_t { arm, thumb };

struct Breakpoint {
  RemoteAddress address;  // a multiple of 4 (Arm) or 2 (Thumb); without the Thumb bit
  InstructionSet set = InstructionSet::arm;
  Privilege privilege = Privilege::any;

  friend constexpr bool operator==(const Breakpoint&, const Breakpoint&) = default;
};

struct BreakpointPair {
  std::uint32_t value = 0;    // DBGBVR
  std::uint32_t control = 0;  // DBGBCR

  friend constexpr bool operator==(const BreakpointPair&, const BreakpointPair&) = default;
};

// Errors: misaligned, range_wraps.
[[nodiscard]] std::expected<BreakpointPair, Error> encode(const Breakpoint& breakpoint);
[[nodiscard]] std::optional<Breakpoint> decode(const BreakpointPair& pair);

// Which debug architecture a CPU has (DBGDIDR.Version).
enum class Version : std::uint8_t {
  v6 = 1,
  v6_1 = 2,
  v7_full = 3,
  v7_baseline = 4,
  v7_1 = 5,
  v8 = 6
};

struct Identity {
  std::uint8_t breakpoints = 0;
  std::uint8_t watchpoints = 0;
  std::uint8_t context_breakpoints = 0;  // of the breakpoints, those that can match a context id
  std::uint8_t version = 0;              // a Version, or a number that is not known

  friend constexpr bool operator==(const Identity&, const Identity&) = default;
};
[[nodiscard]] Identity decode_identity(std::uint32_t dbgdidr);

}  // namespace trapline::regs::armv7
