#include "regs/arm64/debug_registers.h"

#include "regs/arm_access.h"
#include "regs/bit_field.h"
#include "regs/byte_select.h"

namespace trapline::regs::arm64 {
namespace {

constexpr ByteCount kWindow{8};
constexpr std::uint64_t kInstructionBytes = 4;

// DBGWCR<n>_EL1 and DBGBCR<n>_EL1.
constexpr BitField kEnable{0, 1};
constexpr BitField kPrivilege{1, 2};       // PAC, PMC
constexpr BitField kLoadStore{3, 2};       // LSC, watchpoints
constexpr BitField kByteSelect{5, 8};      // BAS; breakpoints use the low four bits of it
constexpr BitField kHigherMode{13, 1};     // HMC
constexpr BitField kSecurityState{14, 2};  // SSC
constexpr BitField kLinkedNumber{16, 4};   // LBN
constexpr BitField kWatchLinked{20, 1};    // WT
constexpr BitField kBreakType{20, 4};      // BT, breakpoints: 0 is an unlinked instruction address
constexpr BitField kAddressMask{24, 5};    // MASK, watchpoints
constexpr std::uint32_t kWholeInstruction = 0b1111;

constexpr std::optional<Privilege> privilege_of(std::uint32_t control) {
  if (kHigherMode.get(control) != 0 || kSecurityState.get(control) != 0) return std::nullopt;
  switch (kPrivilege.get(control)) {
    case static_cast<std::uint32_t>(Privilege::el1):
      return Privilege::el1;
    case static_cast<std::uint32_t>(Privilege::el0):
      return Privilege::el0;
    default:
      return std::nullopt;
  }
}

constexpr std::uint32_t enabled_for(Privilege privilege) {
  return kEnable.put(1) | kPrivilege.put(static_cast<std::uint32_t>(privilege));
}

}  // namespace

std::expected<WatchpointPair, Error> encode(const Watchpoint& watchpoint) {
  const auto kind = load_store_control(watchpoint.access);
  if (!kind) return std::unexpected(Error{ErrorCode::access_unsupported});
  const auto bytes = select_bytes(watchpoint.address, watchpoint.length, kWindow);
  if (!bytes) return std::unexpected(Error{ErrorCode::bad_length});
  return WatchpointPair{.value = watchpoint.address.value() & ~(kWindow.value - 1),
                        .control = enabled_for(watchpoint.privilege) | kLoadStore.put(*kind) |
                                   kByteSelect.put(*bytes)};
}

std::optional<Watchpoint> decode(const WatchpointPair& pair) {
  const bool plain = kEnable.get(pair.control) == 1 && kWatchLinked.get(pair.control) == 0 &&
                     kAddressMask.get(pair.control) == 0 && pair.value % kWindow.value == 0;
  const auto access = access_of_load_store_control(kLoadStore.get(pair.control));
  const auto privilege = privilege_of(pair.control);
  const auto run = selected_bytes(static_cast<std::uint8_t>(kByteSelect.get(pair.control)));
  if (!plain || !access || !privilege || !run) return std::nullopt;
  return Watchpoint{RemoteAddress(pair.value + run->offset), ByteCount{run->length}, *access,
                    *privilege};
}

std::expected<BreakpointPair, Error> encode(const Breakpoint& breakpoint) {
  if (breakpoint.address.value() % kInstructionBytes != 0)
    return std::unexpected(Error{ErrorCode::misaligned});
  return BreakpointPair{
      .value = breakpoint.address.value(),
      .control = enabled_for(breakpoint.privilege) | kByteSelect.put(kWholeInstruction)};
}

std::optional<Breakpoint> decode(const BreakpointPair& pair) {
  const bool plain = kEnable.get(pair.control) == 1 && kBreakType.get(pair.control) == 0 &&
                     kLinkedNumber.get(pair.control) == 0 &&
                     kByteSelect.get(pair.control) == kWholeInstruction &&
                     pair.value % kInstructionBytes == 0;
  const auto privilege = privilege_of(pair.control);
  if (!plain || !privilege) return std::nullopt;
  return Breakpoint{RemoteAddress(pair.value), *privilege};
}

Counts decode_counts(std::uint64_t id_aa64dfr0) {
  constexpr BitField kBreakpoints{12, 4};
  constexpr BitField kWatchpoints{20, 4};
  return {.breakpoints = static_cast<std::uint8_t>(kBreakpoints.get(id_aa64dfr0) + 1),
          .watchpoints = static_cast<std::uint8_t>(kWatchpoints.get(id_aa64dfr0) + 1)};
}

}  // namespace trapline::regs::arm64
