// AArch64 breakpoint and watchpoint registers: encode, decode, validate. Pure values; builds on any
// host.
//
// Source: Arm ARM (DDI 0487), D19.3 "Debug registers": DBGBCR<n>_EL1, DBGBVR<n>_EL1, DBGWCR<n>_EL1,
// DBGWVR<n>_EL1; D2.8 and D2.10 (breakpoint and watchpoint exceptions); ID_AA64DFR0_EL1.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::regs::arm64 {

// PAC together with HMC and SSC choose exception levels; Trapline watches EL0 and, for kernel
// addresses, EL1.
enum class Privilege : std::uint8_t { el1 = 0b01, el0 = 0b10 };

// One watchpoint as a WVR/WCR pair describes it.
struct Watchpoint {
  RemoteAddress address;  // of the first byte
  ByteCount length;       // 1 to 8, inside one doubleword
  Access access = Access::write;
  Privilege privilege = Privilege::el0;

  friend constexpr bool operator==(const Watchpoint&, const Watchpoint&) = default;
};

struct WatchpointPair {
  std::uint64_t value = 0;    // DBGWVR: the doubleword's address
  std::uint32_t control = 0;  // DBGWCR

  friend constexpr bool operator==(const WatchpointPair&, const WatchpointPair&) = default;
};

// Errors: bad_length (0, more than 8, or across a doubleword), access_unsupported (execute).
[[nodiscard]] std::expected<WatchpointPair, Error> encode(const Watchpoint& watchpoint);
// What an enabled pair watches. nullopt: disabled, linked, masked, with bytes that are not one run,
// or with encodings that the architecture reserves.
[[nodiscard]] std::optional<Watchpoint> decode(const WatchpointPair& pair);

// One breakpoint as a BVR/BCR pair describes it: an unlinked instruction address match.
struct Breakpoint {
  RemoteAddress address;  // a multiple of 4
  Privilege privilege = Privilege::el0;

  friend constexpr bool operator==(const Breakpoint&, const Breakpoint&) = default;
};

struct BreakpointPair {
  std::uint64_t value = 0;    // DBGBVR
  std::uint32_t control = 0;  // DBGBCR

  friend constexpr bool operator==(const BreakpointPair&, const BreakpointPair&) = default;
};

// Errors: misaligned.
[[nodiscard]] std::expected<BreakpointPair, Error> encode(const Breakpoint& breakpoint);
[[nodiscard]] std::optional<Breakpoint> decode(const BreakpointPair& pair);

// How many of each a CPU has, from ID_AA64DFR0_EL1 (BRPs, bits 15:12, and WRPs, bits 23:20, each
// minus one).
struct Counts {
  std::uint8_t breakpoints = 0;
  std::uint8_t watchpoints = 0;

  friend constexpr bool operator==(const Counts&, const Counts&) = default;
};
[[nodiscard]] Counts decode_counts(std::uint64_t id_aa64dfr0);

}  // namespace trapline::regs::arm64
