#include "regs/armv7/exception_state.h"

namespace trapline::regs::armv7 {
namespace {

constexpr std::uint32_t kThumb = 1U << 5;
constexpr std::uint32_t kItBits = (0b11U << 25) | (0b111111U << 10);  // IT[1:0], IT[7:2]
constexpr std::uint32_t kLongFormat = 1U << 9;
constexpr std::uint32_t kWrite = 1U << 11;

AbortCause cause_in_short_format(std::uint32_t status) {
  switch (status) {
    case 0b00101:
    case 0b00111:
      return AbortCause::translation;
    case 0b00011:
    case 0b00110:
    case 0b01001:
    case 0b01011:
    case 0b01101:
    case 0b01111:
      return AbortCause::permission;
    case 0b00001:
      return AbortCause::alignment;
    case 0b00010:
      return AbortCause::debug;
    case 0b01000:
    case 0b01100:
    case 0b01110:
      return AbortCause::external;
    case 0b11001:
    case 0b11100:
    case 0b11110:
      return AbortCause::parity;
    case 0b10110:
    case 0b11000:
      return AbortCause::asynchronous;
    default:
      return AbortCause::other;
  }
}

AbortCause cause_in_long_format(std::uint32_t status) {
  switch (status) {
    case 0b010000:
      return AbortCause::external;
    case 0b011000:
      return AbortCause::parity;
    case 0b010001:
    case 0b011001:
      return AbortCause::asynchronous;
    case 0b100001:
      return AbortCause::alignment;
    case 0b100010:
      return AbortCause::debug;
    default:
      break;
  }
  switch (status >> 2) {  // the lower two bits are the level of the table
    case 0b0001:
      return AbortCause::translation;
    case 0b0010:
    case 0b0011:
      return AbortCause::permission;
    case 0b0101:
      return AbortCause::external;
    case 0b0111:
      return AbortCause::parity;
    default:
      return AbortCause::other;
  }
}

}  // namespace

std::uint32_t faulting_instruction(ExceptionKind kind, std::uint32_t link,
                                   std::uint32_t saved_state) {
  switch (kind) {
    case ExceptionKind::undefined_instruction:
      return link - ((saved_state & kThumb) != 0 ? 2U : 4U);
    case ExceptionKind::prefetch_abort:
      return link - 4U;
    case ExceptionKind::data_abort:
      break;
  }
  return link - 8U;
}

std::uint32_t state_at_fixup(std::uint32_t saved_state) {
  return saved_state & ~kItBits;
}

AbortStatus decode_fault_status(std::uint32_t fault_status) {
  const bool is_write = (fault_status & kWrite) != 0;
  if ((fault_status & kLongFormat) != 0) {
    return {cause_in_long_format(fault_status & 0b111111U), is_write};
  }
  // FS[4] is bit 10.
  return {cause_in_short_format((fault_status & 0b1111U) | ((fault_status >> 6) & 0b10000U)),
          is_write};
}

}  // namespace trapline::regs::armv7
