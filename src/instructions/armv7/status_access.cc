#include "instructions/armv7/status_access.h"

#include <bit>

#include "instructions/armv7/condition.h"
#include "regs/bit_field.h"

namespace trapline::instructions::armv7 {
namespace {

constexpr std::uint32_t kModeUser = 0x10;
constexpr std::uint32_t kModeBits = 0x1f;
constexpr unsigned kMaskShift = 6;  // CPSR.F, I and A lie side by side, as in CPS
// What MRS shows: not the state of execution (J, IT, T), but E.
constexpr std::uint32_t kReadable = 0xf8ff'03df;
// What MSR writes: a mask for each bit of its field, c, x, s and f.
constexpr std::uint32_t kWritable[] = {0x0000'00df, 0x0000'0300, 0x000f'0000, 0xf800'0000};
constexpr std::uint32_t kUserWritable = 0xf80f'0200;

constexpr regs::BitField kDestination{12, 4};      // Rd of ARM's MRS
constexpr regs::BitField kThumbDestination{8, 4};  // Rd of Thumb's
constexpr std::uint32_t kStackPointer = 13;
constexpr std::uint32_t kLinkRegister = 14;

// One of the three, decoded.
struct Access {
  enum class Kind : std::uint8_t { mrs, msr, cps } kind{};
  std::uint32_t reg = 0;     // of MRS and MSR
  std::uint32_t fields = 0;  // of MSR
  bool is_immediate = false;
  std::uint32_t immediate = 0;
  std::uint32_t enable = 0;  // of CPS: 0b10 clears, 0b11 sets the masks
  std::uint32_t masks = 0;   // A, I, F
  bool changes_mode = false;
  std::uint32_t mode = 0;
};

constexpr bool matches(std::uint32_t instruction, std::uint32_t mask, std::uint32_t value) {
  return (instruction & mask) == value;
}

std::optional<Access> decode_arm(std::uint32_t instruction) {
  using Kind = Access::Kind;
  if (matches(instruction, 0xfff1fe20, 0xf1000000)) {
    return Access{.kind = Kind::cps,
                  .enable = regs::BitField{18, 2}.get(instruction),
                  .masks = regs::BitField{6, 3}.get(instruction),
                  .changes_mode = regs::BitField{17, 1}.get(instruction) != 0,
                  .mode = instruction & kModeBits};
  }
  if (instruction >> 28 == 0b1111) return std::nullopt;
  if (matches(instruction, 0x0fff0fff, 0x010f0000))
    return Access{.kind = Kind::mrs, .reg = kDestination.get(instruction)};
  const std::uint32_t fields = regs::BitField{16, 4}.get(instruction);
  if (matches(instruction, 0x0ff0fff0, 0x0120f000))
    return Access{.kind = Kind::msr, .reg = instruction & 0xf, .fields = fields};
  // Without a field these are hints: NOP, WFI.
  if (matches(instruction, 0x0ff0f000, 0x0320f000) && fields != 0) {
    const auto turn = static_cast<int>(2 * regs::BitField{8, 4}.get(instruction));
    return Access{.kind = Kind::msr,
                  .fields = fields,
                  .is_immediate = true,
                  .immediate = std::rotr(instruction & 0xff, turn)};
  }
  return std::nullopt;
}

std::optional<Access> decode_thumb(std::uint32_t instruction) {
  using Kind = Access::Kind;
  if (matches(instruction, 0xffffffe8, 0xb660))
    return Access{.kind = Kind::cps,
                  .enable = 0b10 | regs::BitField{4, 1}.get(instruction),
                  .masks = instruction & 0b111};
  if (matches(instruction, 0xfffff800, 0xf3af8000)) {
    const Access cps{.kind = Kind::cps,
                     .enable = regs::BitField{9, 2}.get(instruction),
                     .masks = regs::BitField{5, 3}.get(instruction),
                     .changes_mode = regs::BitField{8, 1}.get(instruction) != 0,
                     .mode = instruction & kModeBits};
    if (cps.enable == 0 && !cps.changes_mode) return std::nullopt;  // hints
    return cps;
  }
  if (matches(instruction, 0xfffff0ff, 0xf3ef8000))
    return Access{.kind = Kind::mrs, .reg = kThumbDestination.get(instruction)};
  if (matches(instruction, 0xfff0f0ff, 0xf3808000))
    return Access{.kind = Kind::msr,
                  .reg = regs::BitField{16, 4}.get(instruction),
                  .fields = kThumbDestination.get(instruction)};
  return std::nullopt;
}

bool is_exception_return(std::uint32_t instruction, bool is_thumb) {
  if (is_thumb)
    return matches(instruction, 0xffd0ffff, 0xe810c000) ||        // RFEDB
           matches(instruction, 0xffd0ffff, 0xe990c000) ||        // RFEIA
           matches(instruction, 0xffffff00, 0xf3de8f00);          // SUBS PC, LR; ERET
  if (matches(instruction, 0xfe50ffff, 0xf8100a00)) return true;  // RFE
  if (instruction >> 28 == 0b1111) return false;
  if (matches(instruction, 0x0e508000, 0x08508000)) return true;  // LDM with pc, and ^
  if (matches(instruction, 0x0fffffff, 0x0160006e)) return true;  // ERET
  // SUBS PC, LR and its kin: data processing into pc, with S; comparisons have no destination.
  const bool only_compares = regs::BitField{23, 2}.get(instruction) == 0b10;
  const bool is_other = matches(instruction, 0x02000090, 0x00000090);
  return matches(instruction, 0x0c10f000, 0x0010f000) && !only_compares && !is_other;
}

constexpr bool is_user(std::uint32_t cpsr) {
  return (cpsr & kModeBits) == kModeUser;
}

std::uint32_t written_by_msr(std::uint32_t cpsr, std::uint32_t value, std::uint32_t fields) {
  std::uint32_t writable = 0;
  for (unsigned field = 0; field < 4; ++field) {
    if ((fields >> field & 1) != 0) writable |= kWritable[field];
  }
  if (is_user(cpsr)) writable &= kUserWritable;
  return (cpsr & ~writable) | (value & writable);
}

// Nothing, in User mode.
std::uint32_t written_by_cps(std::uint32_t cpsr, const Access& access) {
  if (is_user(cpsr)) return cpsr;
  const std::uint32_t masks = access.masks << kMaskShift;
  if (access.enable == 0b10) cpsr &= ~masks;
  if (access.enable == 0b11) cpsr |= masks;
  return access.changes_mode ? (cpsr & ~kModeBits) | access.mode : cpsr;
}

void execute(const Access& access, CoreRegisters& registers) {
  switch (access.kind) {
    case Access::Kind::mrs:
      registers.r[access.reg] = registers.cpsr & kReadable;
      break;
    case Access::Kind::msr:
      registers.cpsr = written_by_msr(
          registers.cpsr, access.is_immediate ? access.immediate : registers.r[access.reg],
          access.fields);
      break;
    case Access::Kind::cps:
      registers.cpsr = written_by_cps(registers.cpsr, access);
      break;
  }
}

// nullopt, too, for what no register of a frame can be: pc, which is unpredictable there.
std::optional<Access> decode(std::uint32_t instruction, bool is_thumb) {
  const auto access = is_thumb ? decode_thumb(instruction) : decode_arm(instruction);
  if (!access || access->reg > kLinkRegister) return std::nullopt;
  return access;
}

bool is_executable(const Access& access) {
  return access.kind != Access::Kind::mrs || access.reg < kStackPointer;
}

}  // namespace

StatusAccess status_access_of(std::uint32_t instruction, bool is_thumb) {
  if (is_exception_return(instruction, is_thumb)) return StatusAccess::other;
  const auto access = decode(instruction, is_thumb);
  if (!access) return StatusAccess::none;
  return is_executable(*access) ? StatusAccess::executable : StatusAccess::other;
}

std::optional<CoreRegisters> execute_status_access(std::uint32_t instruction,
                                                   const CoreRegisters& registers) {
  const bool is_thumb = registers.is_thumb();
  const auto access = decode(instruction, is_thumb);
  if (!access || !is_executable(*access)) return std::nullopt;
  CoreRegisters after = registers;
  // CPS is unconditional in both sets; its "condition" in ARM code is 1111.
  const std::uint32_t condition =
      is_thumb ? block_condition(registers.cpsr) : regs::BitField{28, 4}.get(instruction);
  if (holds(condition, registers.cpsr)) execute(*access, after);
  after.pc += !is_thumb || instruction > 0xffff ? 4 : 2;
  if (is_thumb) after.cpsr = behind_in_block(after.cpsr);
  return after;
}

}  // namespace trapline::instructions::armv7
