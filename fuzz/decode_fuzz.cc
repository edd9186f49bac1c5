// deps: trapline_decode
//
// Any bytes as code: a culprit ends at the trap (or is the trap), and what cannot be read is not
// decoded.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "decode/culprit.h"

namespace {

using trapline::ByteCount;
using trapline::RemoteAddress;

constexpr std::uint64_t kBase = 0x10000;

// The input's bytes at kBase; reads end, short, where they end.
class InputMemory final : public trapline::MemoryReader {
 public:
  explicit InputMemory(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    const std::uint64_t offset = address.value() - kBase;
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min(destination.size(), bytes_.size() - offset);
    std::memcpy(destination.data(), bytes_.data() + offset, count);
    return count;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeader = 4;
  constexpr std::uint64_t kLongestInstruction = 15;
  if (size < kHeader) return 0;
  // Register values are small and near the code, so that operands meet the watched bytes.
  trapline::UserRegisters registers;
  for (std::size_t number = 0; number < 24; ++number)
    registers.set(number, kBase + data[number % kHeader]);
  const std::span code(data + kHeader, size - kHeader);
  InputMemory memory(code);
  trapline::decode::CulpritFinder finder(memory);
  const trapline::decode::CodeRange function{RemoteAddress(kBase),
                                             RemoteAddress(kBase + code.size() + data[0] % 8)};
  const auto lookup = [&](RemoteAddress) { return std::optional(function); };
  const auto access = data[1] % 2 == 0 ? trapline::Access::write : trapline::Access::read_write;
  const std::uint64_t length = std::uint64_t{1} << (data[2] % 4);
  for (std::uint64_t trap = kBase; trap <= kBase + code.size(); ++trap) {
    const auto* const culprit =
        finder.find(RemoteAddress(trap), registers,
                    {RemoteAddress(kBase + data[3]), ByteCount{length}, access}, lookup);
    if (culprit == nullptr) continue;
    if (culprit->text.empty()) std::abort();
    const bool is_call = culprit->text.find("call") != std::string::npos;
    if (!is_call && trap - culprit->ip.value() > kLongestInstruction) std::abort();
    static_cast<void>(
        finder.stored_value(registers, RemoteAddress(kBase + data[3]), ByteCount{length}, data[0]));
  }
  return 0;
}
