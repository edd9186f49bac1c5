#include "decode/culprit.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/value_bytes.h"
#include "decode/instruction.h"
#include "decode/instruction_walk.h"

namespace trapline::decode {
namespace {

// Trap addresses remembered before the cache starts afresh: a watch has a handful of writers, a
// wild one thousands.
constexpr std::size_t kCacheLimit = 16384;

bool overlaps(RemoteAddress a, ByteCount a_length, RemoteAddress b, ByteCount b_length) {
  return (b - a).value < a_length.value || (a - b).value < b_length.value;
}

// What is known of an operand as the maker of an access.
enum class Match : std::uint8_t { impossible, possible, certain };

// `last` is the last of repeated accesses, which moved towards it. Those before it, from an unknown
// start on, lie on one side of it.
Match match_repeated(RemoteAddress last, const MemoryOperand& operand, bool downwards,
                     const WatchedRange& watched) {
  const bool reached =
      downwards ? watched.address + watched.length > last : watched.address < last + operand.size;
  return reached ? Match::possible : Match::impossible;
}

Match match(const MemoryOperand& operand, const UserRegisters& registers,
            const WatchedRange& watched) {
  const bool right_kind = operand.writes || (watched.access != Access::write && operand.reads);
  if (!right_kind) return Match::impossible;
  const auto address = effective_address(operand, registers);
  if (!address) return Match::possible;
  if (overlaps(*address, operand.size, watched.address, watched.length)) return Match::certain;
  if (operand.is_repeated) {
    const bool is_down = moves_down(registers).value_or(false);
    return match_repeated(*address, operand, is_down, watched);
  }
  const bool is_behind = watched.address > *address;
  return operand.may_be_longer && is_behind ? Match::possible : Match::impossible;
}

Match match(const Instruction& instruction, const UserRegisters& registers,
            const WatchedRange& watched) {
  Match best = Match::impossible;
  for (const MemoryOperand& operand : instruction.memory())
    best = std::max(best, match(operand, registers, watched));
  return best;
}

// The operand that made the access for certain, if that is all which the instruction accessed
// there.
std::optional<AccessedBytes> accessed_by(const Instruction& instruction,
                                         const UserRegisters& registers,
                                         const WatchedRange& watched) {
  std::optional<AccessedBytes> accessed;
  for (const MemoryOperand& operand : instruction.memory()) {
    if (match(operand, registers, watched) == Match::impossible) continue;
    const auto address = effective_address(operand, registers);
    const bool is_all = address && !operand.is_repeated && !operand.may_be_longer;
    if (!is_all || accessed) return std::nullopt;
    accessed = AccessedBytes{*address, operand.size};
  }
  return accessed;
}

// What the operands that made the access for certain do.
std::optional<Access> access_by(const Instruction& instruction, const UserRegisters& registers,
                                const WatchedRange& watched) {
  bool reads = false;
  bool writes = false;
  for (const MemoryOperand& operand : instruction.memory()) {
    if (match(operand, registers, watched) != Match::certain) continue;
    reads = reads || operand.reads;
    writes = writes || operand.writes;
  }
  if (reads && writes) return Access::read_write;
  if (!reads && !writes) return std::nullopt;
  return reads ? Access::read : Access::write;
}

// The watched value before the store.
struct OldValue {
  RemoteAddress address;
  ByteCount length;
  std::optional<std::uint64_t> bits;
};

struct StoredRange {
  RemoteAddress address;
  ByteCount size;  // at most a word
};

// What a store takes from registers or from itself.
struct Inputs {
  std::uint64_t source = 0;
  std::uint64_t expected = 0;  // of a comparison
};

std::uint64_t combine(StoreEffect::Kind kind, std::uint64_t old, const Inputs& inputs,
                      ByteCount size) {
  using Kind = StoreEffect::Kind;
  const std::uint64_t source = inputs.source;
  switch (kind) {
    case Kind::add:
      return old + source;
    case Kind::subtract:
      return old - source;
    case Kind::bit_and:
      return old & source;
    case Kind::bit_or:
      return old | source;
    case Kind::bit_xor:
      return old ^ source;
    case Kind::bit_clear:
      return old & ~source;
    case Kind::negate:
      return ~old + 1;
    case Kind::complement:
      return ~old;
    case Kind::assign_if_equal:
      return old == low_bytes(inputs.expected, size) ? source : old;
    case Kind::assign:
    case Kind::unknown:
      return source;
  }
  return source;
}

// What the store took: immediates, or registers as they still are.
std::optional<Inputs> inputs_of(const StoreEffect& effect, const UserRegisters& registers) {
  if (effect.kind == StoreEffect::Kind::unknown) return std::nullopt;
  const auto source =
      effect.source_register ? registers.get(*effect.source_register) : effect.immediate;
  const auto expected = effect.expected_register ? registers.get(*effect.expected_register) : 0;
  if (!source || !expected) return std::nullopt;
  return Inputs{*source >> effect.register_shift, *expected};
}

// `bits` moved by whole bytes: to higher addresses if `bytes` is positive.
std::uint64_t shift_bytes(std::uint64_t bits, std::int64_t bytes) {
  const auto distance = static_cast<std::uint64_t>(bytes < 0 ? -bytes : bytes);
  if (distance >= kWordBytes) return 0;
  return bytes >= 0 ? bits << (distance * kBitsPerByte) : bits >> (distance * kBitsPerByte);
}

// The value with the store laid over it. What the store does not cover, and what arithmetic starts
// from, is the old value.
std::optional<StoredValue> overlay(const OldValue& value, const StoredRange& store,
                                   StoreEffect::Kind kind, const Inputs& inputs) {
  const auto offset = static_cast<std::int64_t>((store.address - value.address).value);
  const auto store_end = offset + static_cast<std::int64_t>(store.size.value);
  const auto value_end = static_cast<std::int64_t>(value.length.value);
  const bool covers_value = offset <= 0 && store_end >= value_end;
  const bool lies_inside = offset >= 0 && store_end <= value_end;
  std::uint64_t stored = inputs.source;
  if (kind != StoreEffect::Kind::assign) {
    // Carries and borrows need every byte of the operand.
    if (!value.bits || !lies_inside) return std::nullopt;
    const std::uint64_t old = low_bytes(shift_bytes(*value.bits, -offset), store.size);
    stored = combine(kind, old, inputs, store.size);
  }
  const std::uint64_t mask = shift_bytes(low_bytes(~std::uint64_t{0}, store.size), offset);
  const std::uint64_t laid = shift_bytes(low_bytes(stored, store.size), offset);
  if (!covers_value && !value.bits) return std::nullopt;
  const bool depends_on_old = !covers_value || kind != StoreEffect::Kind::assign;
  return StoredValue{low_bytes((value.bits.value_or(0) & ~mask) | laid, value.length),
                     depends_on_old};
}

// What could have trapped at one address. After the access: the instruction before it, and the one
// at it if that repeats. Before the access: the one at it, in each way it can be read.
struct Candidates {
  std::optional<Instruction> before;
  std::optional<Instruction> at;
  std::optional<Instruction> at_otherwise;
};

}  // namespace

struct CulpritFinder::Impl {
  explicit Impl(MemoryReader& reader) : code(reader), walk(reader, disassembler) {}

  MemoryReader& code;
  Disassembler disassembler;
  InstructionWalk walk;
  std::unordered_map<std::uint64_t, Candidates> cache;
  Culprit culprit;
  Instruction instruction;  // behind `culprit`

  std::optional<Instruction> decode_at(RemoteAddress ip, std::size_t reading = 0) {
    std::vector<std::byte> bytes(Disassembler::max_length());
    bytes.resize(code.read(ip, bytes));
    return disassembler.decode(bytes, ip, reading);
  }

  Candidates decode_before_access(RemoteAddress ip) {
    Candidates found;
    found.at = decode_at(ip);
    if (Disassembler::readings() > 1) found.at_otherwise = decode_at(ip, 1);
    return found;
  }

  Candidates decode_after_access(RemoteAddress ip, const FunctionLookup& function) {
    Candidates found;
    // The function of the instruction before: a label may lie in the middle of what runs through.
    const auto range = function(ip - ByteCount{1});
    const auto start = range ? walk.instruction_before(*range, ip) : std::nullopt;
    if (start) found.before = decode_at(*start);
    found.at = decode_at(ip);
    if (found.at && !found.at->may_trap_at_itself) found.at.reset();
    return found;
  }

  const Candidates& candidates_for(RemoteAddress ip, const FunctionLookup& function) {
    if (const auto known = cache.find(ip.value()); known != cache.end()) return known->second;
    if (cache.size() >= kCacheLimit) cache.clear();
    Candidates found = Disassembler::traps_before_access() ? decode_before_access(ip)
                                                           : decode_after_access(ip, function);
    return cache.emplace(ip.value(), std::move(found)).first->second;
  }

  // The trap was reported before the access, so the instruction is at it.
  const Culprit* find_trapped(const Candidates& candidates, const UserRegisters& registers,
                              const WatchedRange& watched) {
    const Instruction* best = nullptr;
    Match certainty = Match::impossible;
    for (const auto* reading : {&candidates.at, &candidates.at_otherwise}) {
      const Match judged = *reading ? match(**reading, registers, watched) : Match::impossible;
      if (judged <= certainty) continue;
      certainty = judged;
      best = &**reading;
    }
    return best == nullptr ? nullptr : accept(*best, certainty, registers, watched);
  }

  // A call whose pushed return address lies in the watched bytes traps at its destination.
  struct FoundCall {
    const Instruction* call = nullptr;
    Match certainty = Match::impossible;
  };
  FoundCall find_call(RemoteAddress trap_ip, const UserRegisters& registers,
                      const WatchedRange& watched, const FunctionLookup& function) {
    const auto stack = stack_pointer(registers);
    if (!stack || !overlaps(*stack, ByteCount{kWordBytes}, watched.address, watched.length))
      return {};
    const auto return_address = code.read_object<std::uint64_t>(*stack);
    if (!return_address) return {};
    const auto& before = candidates_for(RemoteAddress(*return_address), function).before;
    if (!before || !before->is_call) return {};
    // The stack is read after the hit and may have changed: only the call's own target proves it.
    if (!before->call_target) return {&*before, Match::possible};
    return *before->call_target == trap_ip ? FoundCall{&*before, Match::certain} : FoundCall{};
  }

  const Culprit* accept(const Instruction& found, Match certainty, const UserRegisters& registers,
                        const WatchedRange& watched) {
    // Copying the text is all a repeated hit costs; it is skipped when the last hit came from the
    // same place. What has no text costs nothing, and may be something else than before.
    if (culprit.ip != found.ip || culprit.text != found.text || found.text.empty()) {
      instruction = found;
      culprit.ip = found.ip;
      culprit.text = found.text;
    }
    culprit.operand_checked = certainty == Match::certain;
    culprit.accessed = std::nullopt;
    culprit.access = std::nullopt;
    if (culprit.operand_checked) {
      culprit.accessed = accessed_by(found, registers, watched);
      culprit.access = access_by(found, registers, watched);
    }
    return &culprit;
  }
};

CulpritFinder::CulpritFinder(MemoryReader& code) : impl_(std::make_unique<Impl>(code)) {}

CulpritFinder::~CulpritFinder() = default;

void CulpritFinder::clear() {
  impl_->cache.clear();
  impl_->walk.clear();
}

const Culprit* CulpritFinder::find(RemoteAddress trap_ip, const UserRegisters& registers,
                                   const WatchedRange& watched, const FunctionLookup& function) {
  const auto judge = [&](const std::optional<Instruction>& instruction) {
    return instruction ? match(*instruction, registers, watched) : Match::impossible;
  };
  const auto accept = [&](const Instruction& instruction, Match certainty) {
    return impl_->accept(instruction, certainty, registers, watched);
  };
  impl_->culprit.operand_checked = false;
  const Candidates& candidates = impl_->candidates_for(trap_ip, function);
  if (Disassembler::traps_before_access())
    return impl_->find_trapped(candidates, registers, watched);
  const bool may_lead_here = candidates.before && candidates.before->falls_through;
  const Match before = may_lead_here ? judge(candidates.before) : Match::impossible;
  if (before == Match::certain) return accept(*candidates.before, before);
  const Match at = judge(candidates.at);
  if (at == Match::certain) return accept(*candidates.at, at);
  // Looking for the call may start the cache afresh: no reference into it is used afterwards.
  const Instruction uncertain = before == Match::possible ? *candidates.before
                                : at == Match::possible   ? *candidates.at
                                                          : Instruction();
  const auto [call, certainty] = impl_->find_call(trap_ip, registers, watched, function);
  if (certainty == Match::certain) return accept(*call, certainty);
  // Several instructions that may have done it and no proof for any: unknown.
  const int possible = static_cast<int>(before == Match::possible) +
                       static_cast<int>(at == Match::possible) +
                       static_cast<int>(certainty == Match::possible);
  if (possible != 1) return nullptr;
  return accept(certainty == Match::possible ? *call : uncertain, Match::possible);
}

std::optional<StoredValue> CulpritFinder::stored_value(const UserRegisters& registers,
                                                       RemoteAddress value_at, ByteCount length,
                                                       std::optional<std::uint64_t> old) const {
  const Instruction& instruction = impl_->instruction;
  if (!impl_->culprit.operand_checked) return std::nullopt;
  std::optional<std::uint64_t> bits = old;
  bool is_touched = false;
  bool depends_on_old = false;
  for (const MemoryOperand& operand : instruction.memory()) {
    if (!operand.writes) continue;
    const auto address = effective_address(operand, registers);
    if (!address) return std::nullopt;
    if (!overlaps(*address, operand.size, value_at, length)) continue;
    const auto inputs = inputs_of(operand.effect, registers);
    if (!inputs || operand.size.value > kWordBytes) return std::nullopt;
    const auto laid =
        overlay({value_at, length, bits}, {*address, operand.size}, operand.effect.kind, *inputs);
    if (!laid) return std::nullopt;
    bits = laid->bits;
    depends_on_old = depends_on_old || laid->depends_on_old;
    is_touched = true;
  }
  if (is_touched) return StoredValue{*bits, depends_on_old};
  // It only read them.
  return old ? std::optional(StoredValue{*old, true}) : std::nullopt;
}

}  // namespace trapline::decode
