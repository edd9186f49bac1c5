#include "regs/armv7/debug_registers.h"

#include <limits>

#include "regs/arm_access.h"
#include "regs/bit_field.h"
#include "regs/byte_select.h"

namespace trapline::regs::armv7 {
namespace {

// DBGWCR and DBGBCR.
constexpr BitField kEnable{0, 1};
constexpr BitField kPrivilege{1, 2};       // PAC, PMC
constexpr BitField kLoadStore{3, 2};       // LSC, watchpoints
constexpr BitField kWatchBytes{5, 8};      // BAS
constexpr BitField kBreakBytes{5, 4};      // BAS
constexpr BitField kHigherMode{13, 1};     // HMC
constexpr BitField kSecurityState{14, 2};  // SSC
constexpr BitField kWatchLinked{20, 1};    // WT
constexpr BitField kBreakType{20, 4};      // BT: 0 is an unlinked instruction address match
constexpr BitField kAddressMask{24, 5};    // MASK

constexpr std::uint64_t kWordBytes = 4;
constexpr std::uint64_t kHalfword = 2;
constexpr std::uint32_t kWholeWord = 0b1111;
constexpr std::uint32_t kLowHalf = 0b0011;
constexpr std::uint32_t kHighHalf = 0b1100;

constexpr bool is_32_bit(RemoteAddress address) {
  return address.value() <= std::numeric_limits<std::uint32_t>::max();
}

constexpr std::optional<Privilege> privilege_of(std::uint32_t control) {
  const std::uint32_t field = kPrivilege.get(control);
  if (field == 0 || kHigherMode.get(control) != 0 || kSecurityState.get(control) != 0)
    return std::nullopt;
  return static_cast<Privilege>(field);
}

constexpr std::uint32_t enabled_for(Privilege privilege) {
  return kEnable.put(1) | kPrivilege.put(static_cast<std::uint32_t>(privilege));
}

}  // namespace

std::expected<WatchpointPair, Error> encode(const Watchpoint& watchpoint, ByteCount window) {
  const auto kind = load_store_control(watchpoint.access);
  if (!kind) return std::unexpected(Error{ErrorCode::access_unsupported});
  if (!is_32_bit(watchpoint.address)) return std::unexpected(Error{ErrorCode::range_wraps});
  const auto bytes = select_bytes(watchpoint.address, watchpoint.length, window);
  if (!bytes) return std::unexpected(Error{ErrorCode::bad_length});
  return WatchpointPair{
      .value = static_cast<std::uint32_t>(watchpoint.address.value() & ~(window.value - 1)),
      .control =
          enabled_for(watchpoint.privilege) | kLoadStore.put(*kind) | kWatchBytes.put(*bytes)};
}

std::optional<Watchpoint> decode(const WatchpointPair& pair) {
  const bool plain = kEnable.get(pair.control) == 1 && kWatchLinked.get(pair.control) == 0 &&
                     kAddressMask.get(pair.control) == 0 && pair.value % kWordBytes == 0;
  const auto access = access_of_load_store_control(kLoadStore.get(pair.control));
  const auto privilege = privilege_of(pair.control);
  const auto run = selected_bytes(static_cast<std::uint8_t>(kWatchBytes.get(pair.control)));
  if (!plain || !access || !privilege || !run) return std::nullopt;
  return Watchpoint{RemoteAddress(pair.value + run->offset), ByteCount{run->length}, *access,
                    *privilege};
}

std::expected<BreakpointPair, Error> encode(const Breakpoint& breakpoint) {
  const std::uint64_t address = breakpoint.address.value();
  const bool is_thumb = breakpoint.set == InstructionSet::thumb;
  if (!is_32_bit(breakpoint.address)) return std::unexpected(Error{ErrorCode::range_wraps});
  if (address % (is_thumb ? kHalfword : kWordBytes) != 0)
    return std::unexpected(Error{ErrorCode::misaligned});
  const std::uint32_t half = address % kWordBytes == 0 ? kLowHalf : kHighHalf;
  return BreakpointPair{
      .value = static_cast<std::uint32_t>(address & ~(kWordBytes - 1)),
      .control = enabled_for(breakpoint.privilege) | kBreakBytes.put(is_thumb ? half : kWholeWord)};
}

std::optional<Breakpoint> decode(const BreakpointPair& pair) {
  const auto privilege = privilege_of(pair.control);
  const bool plain = kEnable.get(pair.control) == 1 && kBreakType.get(pair.control) == 0 &&
                     kAddressMask.get(pair.control) == 0 && pair.value % kWordBytes == 0;
  if (!plain || !privilege) return std::nullopt;
  switch (kBreakBytes.get(pair.control)) {
    case kWholeWord:
      return Breakpoint{RemoteAddress(pair.value), InstructionSet::arm, *privilege};
    case kLowHalf:
      return Breakpoint{RemoteAddress(pair.value), InstructionSet::thumb, *privilege};
    case kHighHalf:
      return Breakpoint{RemoteAddress(pair.value + kHalfword), InstructionSet::thumb, *privilege};
    default:
      return std::nullopt;
  }
}

Identity decode_identity(std::uint32_t dbgdidr) {
  // DBGDIDR: WRPs and BRPs and CTX_CMPs hold the number minus one.
  constexpr BitField kVersion{16, 4};
  constexpr BitField kContexts{20, 4};
  constexpr BitField kBreakpoints{24, 4};
  constexpr BitField kWatchpoints{28, 4};
  return {.breakpoints = static_cast<std::uint8_t>(kBreakpoints.get(dbgdidr) + 1),
          .watchpoints = static_cast<std::uint8_t>(kWatchpoints.get(dbgdidr) + 1),
          .context_breakpoints = static_cast<std::uint8_t>(kContexts.get(dbgdidr) + 1),
          .version = static_cast<std::uint8_t>(kVersion.get(dbgdidr))};
}

}  // namespace trapline::regs::armv7
