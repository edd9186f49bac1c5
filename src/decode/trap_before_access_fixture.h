// For tests of architectures whose traps come before the access: the culprit stands at the trap.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "decode/culprit.h"
#include "decode/fake_memory.h"

namespace trapline::decode::testing {

inline constexpr std::uint64_t kData = 0x7000;

// kCaptured: how many of the architecture's registers a collector captures.
template <std::size_t kCaptured>
class TrapBeforeAccess : public ::testing::Test {
 protected:
  static UserRegisters registers_with(
      std::initializer_list<std::pair<std::size_t, std::uint64_t>> values) {
    UserRegisters registers;
    for (std::size_t number = 0; number < kCaptured; ++number) registers.set(number, 0);
    for (const auto& [number, value] : values) registers.set(number, value);
    return registers;
  }
  // Of a trap at the first instruction of `code`, which lies at `ip`.
  const Culprit* find_at(RemoteAddress ip, const std::vector<std::uint8_t>& code,
                         const UserRegisters& registers, const WatchedRange& watched) {
    finder_.clear();
    memory_.put(ip.value(), code);
    return finder_.find(ip, registers, watched, [](RemoteAddress) { return std::nullopt; });
  }
  std::optional<StoredValue> stored(const UserRegisters& registers,
                                    std::optional<std::uint64_t> old, std::uint64_t address = kData,
                                    std::uint64_t length = 4) {
    return finder_.stored_value(registers, RemoteAddress(address), ByteCount{length}, old);
  }

  FakeMemory memory_;
  CulpritFinder finder_{memory_};
};

}  // namespace trapline::decode::testing
