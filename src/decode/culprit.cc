#include "decode/culprit.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "decode/instruction.h"

namespace trapline::decode {
namespace {

// Trap addresses remembered before the cache starts afresh: a watch has a handful of writers, a
// wild one thousands.
constexpr std::size_t kCacheLimit = 16384;
// Functions longer than this are not walked (0.1 s of decoding on a miss); generated code can be
// that long.
constexpr std::uint64_t kMaxFunctionBytes = 4 * 1024 * 1024;
constexpr std::uint64_t kWordBytes = 8;

bool overlaps(RemoteAddress a, ByteCount a_length, RemoteAddress b, ByteCount b_length) {
  return (b - a).value < a_length.value || (a - b).value < b_length.value;
}

// What is known of an operand as the maker of an access.
enum class Match : std::uint8_t { impossible, possible, certain };

Match match(const MemoryOperand& operand, const UserRegisters& registers,
            const WatchedRange& watched) {
  const bool right_kind = operand.writes || (watched.access != Access::write && operand.reads);
  if (!right_kind) return Match::impossible;
  const auto address = effective_address(operand, registers);
  if (!address) return Match::possible;
  return overlaps(*address, operand.size, watched.address, watched.length) ? Match::certain
                                                                           : Match::impossible;
}

Match match(const Instruction& instruction, const UserRegisters& registers,
            const WatchedRange& watched) {
  Match best = Match::impossible;
  for (const MemoryOperand& operand : instruction.memory())
    best = std::max(best, match(operand, registers, watched));
  return best;
}

// The low `length` bytes of `bits`.
std::uint64_t truncate(std::uint64_t bits, ByteCount length) {
  constexpr unsigned kBitsPerByte = 8;
  if (length.value >= kWordBytes) return bits;
  return bits & ((std::uint64_t{1} << (length.value * kBitsPerByte)) - 1);
}

std::uint64_t combine(StoreEffect::Kind kind, std::uint64_t old, std::uint64_t source) {
  using Kind = StoreEffect::Kind;
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
    case Kind::negate:
      return ~old + 1;
    case Kind::complement:
      return ~old;
    case Kind::assign:
    case Kind::unknown:
      return source;
  }
  return source;
}

// What could have trapped at one address: the instruction before it, and the one at it if that
// repeats.
struct Candidates {
  std::optional<Instruction> before;
  std::optional<Instruction> at;
};

}  // namespace

struct CulpritFinder::Impl {
  explicit Impl(MemoryReader& reader) : code(reader) {}

  MemoryReader& code;
  Disassembler disassembler;
  std::unordered_map<std::uint64_t, Candidates> cache;
  Culprit culprit;
  Instruction instruction;  // behind `culprit`

  // The instruction of `function` that ends at `end`, by decoding from the function's start.
  std::optional<Instruction> decode_before(const CodeRange& function, RemoteAddress end) {
    const std::uint64_t wanted = (end - function.start).value;
    if (wanted == 0 || wanted > kMaxFunctionBytes) return std::nullopt;
    std::vector<std::byte> bytes(wanted);
    if (code.read(function.start, bytes) != bytes.size()) return std::nullopt;
    std::size_t offset = 0;
    std::size_t last = 0;
    while (offset < bytes.size()) {
      const std::size_t length = disassembler.length_at(std::span(bytes).subspan(offset),
                                                        function.start + ByteCount{offset});
      if (length == 0) return std::nullopt;
      last = offset;
      offset += length;
    }
    return disassembler.decode(std::span(bytes).subspan(last), function.start + ByteCount{last});
  }

  std::optional<Instruction> decode_at(RemoteAddress ip) {
    std::vector<std::byte> bytes(Disassembler::max_length());
    bytes.resize(code.read(ip, bytes));
    return disassembler.decode(bytes, ip);
  }

  const Candidates& candidates_for(RemoteAddress trap_ip, const FunctionLookup& function) {
    if (const auto known = cache.find(trap_ip.value()); known != cache.end()) return known->second;
    if (cache.size() >= kCacheLimit) cache.clear();
    Candidates found;
    if (const auto range = function(trap_ip)) found.before = decode_before(*range, trap_ip);
    found.at = decode_at(trap_ip);
    if (found.at && !found.at->may_trap_at_itself) found.at.reset();
    return cache.emplace(trap_ip.value(), std::move(found)).first->second;
  }

  // A call whose pushed return address lies in the watched bytes traps at its destination.
  std::optional<Instruction> decode_call(const UserRegisters& registers,
                                         const WatchedRange& watched,
                                         const FunctionLookup& function) {
    const auto stack = stack_pointer(registers);
    if (!stack || !overlaps(*stack, ByteCount{kWordBytes}, watched.address, watched.length))
      return std::nullopt;
    const auto return_address = code.read_object<std::uint64_t>(*stack);
    if (!return_address) return std::nullopt;
    const RemoteAddress end(*return_address);
    const auto range = function(end - ByteCount{1});
    auto call = range ? decode_before(*range, end) : std::nullopt;
    if (!call || !call->is_call) return std::nullopt;
    return call;
  }

  const Culprit* accept(const Instruction& found, Match certainty) {
    // Copying the text is all a repeated hit costs; it is skipped when the last hit came from the
    // same place.
    if (culprit.ip != found.ip || culprit.text != found.text) {
      instruction = found;
      culprit.ip = found.ip;
      culprit.text = found.text;
    }
    culprit.operand_checked = certainty == Match::certain;
    return &culprit;
  }
};

CulpritFinder::CulpritFinder(MemoryReader& code) : impl_(std::make_unique<Impl>(code)) {}

CulpritFinder::~CulpritFinder() = default;

void CulpritFinder::clear() {
  impl_->cache.clear();
}

const Culprit* CulpritFinder::find(RemoteAddress trap_ip, const UserRegisters& registers,
                                   const WatchedRange& watched, const FunctionLookup& function) {
  const Candidates& candidates = impl_->candidates_for(trap_ip, function);
  const Match before =
      candidates.before ? match(*candidates.before, registers, watched) : Match::impossible;
  if (before == Match::certain) return impl_->accept(*candidates.before, before);
  const Match at = candidates.at ? match(*candidates.at, registers, watched) : Match::impossible;
  // Two instructions that may have done it and no proof for either: unknown.
  if (before == Match::possible && at == Match::possible) return nullptr;
  if (at != Match::impossible) return impl_->accept(*candidates.at, at);
  if (before == Match::possible) return impl_->accept(*candidates.before, before);
  if (const auto call = impl_->decode_call(registers, watched, function))
    return impl_->accept(*call, Match::certain);
  return nullptr;
}

std::optional<StoredValue> CulpritFinder::stored_value(const UserRegisters& registers,
                                                       RemoteAddress value_at, ByteCount length,
                                                       std::optional<std::uint64_t> old) const {
  using Kind = StoreEffect::Kind;
  const Instruction& instruction = impl_->instruction;
  if (!impl_->culprit.operand_checked) return std::nullopt;
  const auto written = std::ranges::find_if(instruction.memory(), &MemoryOperand::writes);
  if (written == instruction.memory().end()) {
    return old ? std::optional(StoredValue{*old, true}) : std::nullopt;
  }
  const auto address = effective_address(*written, registers);
  if (!address || *address > value_at) return std::nullopt;
  const std::uint64_t offset = (value_at - *address).value;
  const StoreEffect& effect = instruction.effect;
  if (effect.kind == Kind::unknown ||
      offset + length.value > std::min(written->size.value, kWordBytes)) {
    return std::nullopt;
  }
  std::uint64_t source = effect.immediate;
  if (effect.source_register) {
    const auto value = registers.get(*effect.source_register);
    if (!value) return std::nullopt;
    source = *value >> effect.register_shift;
  }
  constexpr unsigned kBitsPerByte = 8;
  if (effect.kind == Kind::assign)
    return StoredValue{truncate(source >> (offset * kBitsPerByte), length), false};
  // Arithmetic carries between bytes: only the whole operand's old bytes tell the new ones.
  if (!old || offset != 0 || length != written->size) return std::nullopt;
  return StoredValue{truncate(combine(effect.kind, *old, source), length), true};
}

}  // namespace trapline::decode
