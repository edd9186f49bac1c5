// Quantities and identities that must not be mixed up: each is a type of its own.
//
// All are trivially copyable wrappers of one integer; `.value` is that integer. Freestanding;
// usable in any context.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace trapline {

// A whole number with a meaning. `Tag` only tells two meanings apart.
template <typename Tag, typename Rep>
struct Quantity {
  Rep value{};

  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

using ByteCount = Quantity<struct ByteCountTag, std::uint64_t>;
using Nanoseconds = Quantity<struct NanosecondsTag, std::uint64_t>;
using CpuId = Quantity<struct CpuIdTag, std::uint32_t>;
using ProcessId = Quantity<struct ProcessIdTag, std::int32_t>;  // a thread group, as Linux's tgid
using ThreadId = Quantity<struct ThreadIdTag, std::int32_t>;    // one thread, as Linux's tid
using SlotIndex = Quantity<struct SlotIndexTag, std::uint8_t>;  // one debug register pair

// The size of something that lies in this process's own memory: where addresses have 32 bits, a
// length of another process's or of a file may be more than a size can say.
[[nodiscard]] constexpr std::size_t size_of_own(ByteCount length) {
  return static_cast<std::size_t>(length.value);
}

inline constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;
inline constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace trapline
