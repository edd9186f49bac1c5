// Reading another address space, for whoever decodes what lies there. Freestanding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "trapline/base/address.h"

namespace trapline {

class MemoryReader {
 public:
  MemoryReader() = default;
  MemoryReader(const MemoryReader&) = delete;
  MemoryReader& operator=(const MemoryReader&) = delete;
  virtual ~MemoryReader() = default;

  // Copies from `address` into `destination`; returns how many bytes, from the start, could be read
  // (0 for none). Never an error beyond that: memory that is gone reads short. May block for as
  // long as a page fault does.
  [[nodiscard]] virtual std::size_t read(RemoteAddress address,
                                         std::span<std::byte> destination) = 0;

  // One object, or nothing if it could not be read whole.
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> read_object(RemoteAddress address) {
    T object;
    if (read(address, std::as_writable_bytes(std::span(&object, 1))) != sizeof(T))
      return std::nullopt;
    return object;
  }
};

}  // namespace trapline
