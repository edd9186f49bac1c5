// deps: trapline_decode
// Any bytes as code: decoding ends, and a culprit that is named lies before the trap or at it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>

#include "decode/culprit.h"

namespace {

class Code final : public trapline::MemoryReader {
 public:
  explicit Code(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t read(trapline::RemoteAddress address,
                                 std::span<std::byte> destination) override {
    const std::uint64_t offset = address.value() - kStart;
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min(destination.size(), bytes_.size() - offset);
    std::memcpy(destination.data(), bytes_.data() + offset, count);
    return count;
  }
  static constexpr std::uint64_t kStart = 0x1000;

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trapline;
  if (size < 2) return 0;
  Code code({data, size});
  decode::CulpritFinder finder(code);
  UserRegisters registers;
  for (std::size_t number = 0; number < 24; ++number) registers.set(number, Code::kStart + number);
  const RemoteAddress start(Code::kStart);
  const RemoteAddress end = start + ByteCount{size};
  const RemoteAddress trap = start + ByteCount{data[0] % size};
  const auto* culprit = finder.find(trap, registers, {start, ByteCount{8}, Access::read_write},
                                    [&](RemoteAddress at) -> std::optional<decode::CodeRange> {
                                      if (at < start || at >= end) return std::nullopt;
                                      return decode::CodeRange{start, end};
                                    });
  if (culprit == nullptr) return 0;
  if (culprit->ip < start || culprit->ip >= end) std::abort();
  (void)finder.stored_value(registers, start, ByteCount{8}, 1);
  return 0;
}
