#include "decode/instruction_walk.h"

#include <algorithm>
#include <span>

namespace trapline::decode {
namespace {

// A walk of so much takes a tenth of a second; longer functions exist only in generated code.
constexpr std::uint64_t kMaxFunctionBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMaxBits = std::size_t{8} << 20;  // 1 MB of memory

}  // namespace

void InstructionWalk::clear() {
  walks_.clear();
  bits_ = 0;
}

std::optional<RemoteAddress> InstructionWalk::instruction_before(const CodeRange& function,
                                                                 RemoteAddress end) {
  const std::uint64_t distance = (end - function.start).value;
  if (end <= function.start || end > function.end || distance > kMaxFunctionBytes)
    return std::nullopt;
  const auto offset = static_cast<std::size_t>(distance);
  if (bits_ > kMaxBits) clear();
  Walked& walked = walks_[function.start.value()];
  if (!extend(walked, function, offset)) return std::nullopt;
  // Whether one ends here shows in whether one starts here; behind the last one walked that is
  // `reached`.
  const bool is_boundary = offset == walked.reached || walked.starts[offset];
  if (!is_boundary) return std::nullopt;
  std::size_t start = offset;
  do {
    --start;
  } while (!walked.starts[start]);
  return function.start + ByteCount{start};
}

// Walks until `offset` is reached or passed; false if that is not possible.
bool InstructionWalk::extend(Walked& walked, const CodeRange& function, std::size_t offset) {
  if (walked.reached >= offset) return true;
  if (walked.is_stuck) return false;
  // The last instruction may lie across `offset`, then nothing ends there.
  const auto limit = static_cast<std::size_t>(std::min<std::uint64_t>(
      offset + Disassembler::max_length(), (function.end - function.start).value));
  std::vector<std::byte> bytes(limit - walked.reached);
  const std::size_t base = walked.reached;
  bytes.resize(code_.read(function.start + ByteCount{base}, bytes));
  while (walked.reached < offset) {
    const std::size_t at = walked.reached - base;
    if (at >= bytes.size()) return false;
    const std::size_t length = disassembler_.length_at(std::span(bytes).subspan(at),
                                                       function.start + ByteCount{walked.reached});
    if (length == 0) {
      walked.is_stuck = bytes.size() == limit - base;
      return false;
    }
    const std::size_t next = walked.reached + length;
    bits_ += next - walked.starts.size();
    walked.starts.resize(next, false);
    walked.starts[walked.reached] = true;
    walked.reached = next;
  }
  return true;
}

}  // namespace trapline::decode
