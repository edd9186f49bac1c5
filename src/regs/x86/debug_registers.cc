#include "regs/x86/debug_registers.h"

namespace trapline::regs::x86 {
namespace {

// DR7 has two enable bits per slot from bit 0 (Ln, Gn) and four control bits per slot from bit 16
// (R/Wn, LENn).
constexpr unsigned kEnableBits = 2;
constexpr std::uint64_t kEnableMask = 0b11;
constexpr std::uint64_t kLocalEnable = 0b01;
constexpr unsigned kControlShift = 16;
constexpr unsigned kControlBits = 4;
constexpr std::uint64_t kControlMask = 0b1111;
constexpr unsigned kLengthShift = 2;
constexpr std::uint64_t kFieldMask = 0b11;

constexpr unsigned enable_shift(SlotIndex index) {
  return index.value * kEnableBits;
}
constexpr unsigned control_shift(SlotIndex index) {
  return kControlShift + index.value * kControlBits;
}

constexpr std::optional<LengthCode> length_code(ByteCount length) {
  switch (length.value) {
    case 1:
      return LengthCode::one;
    case 2:
      return LengthCode::two;
    case 4:
      return LengthCode::four;
    case 8:
      return LengthCode::eight;
    default:
      return std::nullopt;
  }
}

constexpr ByteCount byte_length(LengthCode code) {
  switch (code) {
    case LengthCode::one:
      return ByteCount{1};
    case LengthCode::two:
      return ByteCount{2};
    case LengthCode::four:
      return ByteCount{4};
    case LengthCode::eight:
      return ByteCount{8};
  }
  return ByteCount{0};
}

constexpr std::optional<BreakOn> break_on(Access access) {
  switch (access) {
    case Access::execute:
      return BreakOn::execute;
    case Access::write:
      return BreakOn::write;
    case Access::read_write:
      return BreakOn::read_write;
    case Access::read:
      return std::nullopt;
  }
  return std::nullopt;
}

constexpr std::optional<Access> access_of(BreakOn kind) {
  switch (kind) {
    case BreakOn::execute:
      return Access::execute;
    case BreakOn::write:
      return Access::write;
    case BreakOn::read_write:
      return Access::read_write;
    case BreakOn::io:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::expected<void, Error> validate(const Slot& slot) {
  if (!break_on(slot.access)) return std::unexpected(Error{ErrorCode::access_unsupported});
  if (!length_code(slot.length)) return std::unexpected(Error{ErrorCode::bad_length});
  // 17.2.5: an instruction breakpoint with LEN other than 00 is undefined.
  if (slot.access == Access::execute && slot.length != ByteCount{1})
    return std::unexpected(Error{ErrorCode::bad_length});
  if (slot.address.value() % slot.length.value != 0)
    return std::unexpected(Error{ErrorCode::misaligned});
  return {};
}

std::expected<void, Error> DebugRegisters::set(SlotIndex index, const Slot& slot) {
  if (index.value >= kSlots) return std::unexpected(Error{ErrorCode::bad_length});
  if (const auto valid = validate(slot); !valid) return valid;
  clear(index);
  const auto kind = static_cast<std::uint64_t>(*break_on(slot.access));
  const auto length = static_cast<std::uint64_t>(*length_code(slot.length));
  addresses_[index.value] = slot.address.value();
  dr7_ |= (kind | length << kLengthShift) << control_shift(index) | kLocalEnable
                                                                        << enable_shift(index);
  return {};
}

void DebugRegisters::clear(SlotIndex index) {
  if (index.value >= kSlots) return;
  addresses_[index.value] = 0;
  dr7_ &= ~(kControlMask << control_shift(index) | kEnableMask << enable_shift(index));
}

std::optional<Slot> DebugRegisters::get(SlotIndex index) const {
  if (index.value >= kSlots || (dr7_ >> enable_shift(index) & kEnableMask) == 0)
    return std::nullopt;
  const std::uint64_t control = dr7_ >> control_shift(index);
  const auto access = access_of(static_cast<BreakOn>(control & kFieldMask));
  if (!access) return std::nullopt;
  const ByteCount length =
      byte_length(static_cast<LengthCode>(control >> kLengthShift & kFieldMask));
  return Slot{RemoteAddress(addresses_[index.value]), length, *access};
}

Dr6 Dr6::decode(std::uint64_t value) {
  constexpr unsigned kRegisterAccessBit = 13;
  constexpr unsigned kSingleStepBit = 14;
  constexpr unsigned kTaskSwitchBit = 15;
  const auto bit = [value](std::size_t number) { return (value >> number & 1) != 0; };
  Dr6 status;
  for (std::size_t slot = 0; slot < kSlots; ++slot) status.hit[slot] = bit(slot);
  status.register_access = bit(kRegisterAccessBit);
  status.single_step = bit(kSingleStepBit);
  status.task_switch = bit(kTaskSwitchBit);
  return status;
}

}  // namespace trapline::regs::x86
