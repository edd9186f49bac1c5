// For tests: memory made of the pieces a test puts there; everything else cannot be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "trapline/port/memory_reader.h"

namespace trapline::decode::testing {

class FakeMemory final : public MemoryReader {
 public:
  void put(std::uint64_t address, const std::vector<std::uint8_t>& bytes) {
    for (std::size_t index = 0; index < bytes.size(); ++index)
      bytes_[address + index] = std::byte{bytes[index]};
  }
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    ++reads;
    bytes_read += destination.size();
    std::size_t count = 0;
    for (std::byte& byte : destination) {
      const auto found = bytes_.find(address.value() + count);
      if (found == bytes_.end()) break;
      byte = found->second;
      ++count;
    }
    return count;
  }

  int reads = 0;
  std::size_t bytes_read = 0;

 private:
  std::map<std::uint64_t, std::byte> bytes_;
};

}  // namespace trapline::decode::testing
