// An address in another address space (a watched process, the kernel, another CPU's view).
//
// It cannot be dereferenced, compared with a pointer or made from one by accident: both directions
// are spelled out. Address zero is an address; "no address" is std::optional<RemoteAddress>.
// Freestanding; usable in any context.
#pragma once

#include <compare>
#include <cstdint>

#include "trapline/base/units.h"

namespace trapline {

class RemoteAddress {
 public:
  constexpr RemoteAddress() = default;
  explicit constexpr RemoteAddress(std::uint64_t value) : value_(value) {}
  // The address of an object of this process, for watching oneself.
  [[nodiscard]] static RemoteAddress of_local(const volatile void* pointer) {
    return RemoteAddress(reinterpret_cast<std::uintptr_t>(pointer));
  }

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }

  friend constexpr auto operator<=>(RemoteAddress, RemoteAddress) = default;

  // Wraps at 2^64, as the hardware's address arithmetic does; a caller who minds checks before.
  friend constexpr RemoteAddress operator+(RemoteAddress base, ByteCount offset) {
    return RemoteAddress(base.value_ + offset.value);
  }
  friend constexpr RemoteAddress operator-(RemoteAddress base, ByteCount offset) {
    return RemoteAddress(base.value_ - offset.value);
  }
  // Distance from `from` up to `to`, modulo 2^64.
  friend constexpr ByteCount operator-(RemoteAddress to, RemoteAddress from) {
    return ByteCount{to.value_ - from.value_};
  }

 private:
  std::uint64_t value_ = 0;
};

}  // namespace trapline
