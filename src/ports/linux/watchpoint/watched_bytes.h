// The bytes of a watched object, read without a fault and without hitting the watch.
//
// Async-signal-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// What a slot covers now, the byte at the lowest address lowest. nullopt: it cannot be read. Where
// reads are watched too, the kernel is asked, who reads by another address (process_vm_readv).
[[nodiscard]] std::optional<std::uint64_t> read_watched(const SlotRequest& slot);

// An object, put together from its slots in the order of the plan.
class ObjectBytes {
 public:
  void append(std::optional<std::uint64_t> value, const SlotRequest& slot) {
    is_complete_ = is_complete_ && value.has_value();
    const std::uint64_t bits = value.value_or(0);
    std::memcpy(bytes_.data() + length_, &bits, size_of_own(slot.length));
    length_ += size_of_own(slot.length);
  }
  // Every slot has been read, and there was one.
  [[nodiscard]] bool is_complete() const { return is_complete_ && length_ != 0; }
  [[nodiscard]] std::span<const std::byte> all() const { return std::span(bytes_).first(length_); }

 private:
  static constexpr std::size_t kMostBytes = kMaxPlanSlots * sizeof(std::uint64_t);
  std::array<std::byte, kMostBytes> bytes_;
  std::size_t length_ = 0;
  bool is_complete_ = true;
};

}  // namespace trapline::linux_port
