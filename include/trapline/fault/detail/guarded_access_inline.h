// Bodies of guarded_access.h that have to be inline: the guarded instruction stands in the caller.
#pragma once

#include "trapline/fault/guarded_access.h"
#include "trapline/isa/guarded_copy.h"

namespace trapline::fault {
namespace detail {

template <std::size_t kSize>
struct WordOf;
template <>
struct WordOf<1> {
  using Type = std::uint8_t;
};
template <>
struct WordOf<2> {
  using Type = std::uint16_t;
};
template <>
struct WordOf<4> {
  using Type = std::uint32_t;
};
template <>
struct WordOf<8> {
  using Type = std::uint64_t;
};
// The integer as which a value is loaded and stored.
template <typename T>
using Word = typename WordOf<sizeof(T)>::Type;

[[nodiscard]] inline std::uintptr_t address_of(const volatile void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
// Volatile says how the compiler may access; the assembly does it anyway exactly once.
[[nodiscard]] inline const void* plain(const volatile void* pointer) {
  return const_cast<const void*>(pointer);
}
[[nodiscard]] inline void* plain(volatile void* pointer) {
  return const_cast<void*>(pointer);
}

// The address in the fault word lacks its upper bits, and may be none at all (x86 reports 0 for
// what is not canonical): it counts only if it lies in what was accessed. Out of line, so that the
// compiler keeps the path of a fault away from that of a success.
[[nodiscard, gnu::cold, gnu::noinline]] inline AccessError fault_at(std::uintptr_t word,
                                                                    std::uintptr_t first,
                                                                    std::size_t count) {
  const std::uintptr_t known = ~std::uintptr_t{0} >> kFaultAddressShift;
  const std::uintptr_t offset = ((word >> kFaultAddressShift) - first) & known;
  return {AccessError::Stage::faulted, kind_of_fault(word),
          offset < count ? first + offset : first};
}

// Whether a fault word tells of a fault, which it never does as far as the compiler should care.
[[nodiscard]] inline bool is_fault(std::uintptr_t word) {
  return __builtin_expect_with_probability(word != 0, 0, 1.0) != 0;
}

[[nodiscard]] constexpr bool is_aligned(std::uintptr_t address, std::size_t size) {
  return address % size == 0;
}

[[nodiscard]] constexpr bool passes_the_end(std::uintptr_t first, std::size_t count) {
  return count != 0 && first + (count - 1) < first;
}

[[nodiscard]] constexpr AccessError rejected(FaultKind kind, std::uintptr_t address) {
  return {AccessError::Stage::rejected, kind, address};
}

[[nodiscard]] constexpr AccessResult<void> executed(std::uintptr_t word) {
  if (word == 0) return {};
  FaultKind kind = kind_of_fault(word);
  // x86 has one exception (#GP) for addresses that are none and for instructions that are not
  // permitted; there was no address here.
  if (kind == FaultKind::not_an_address) kind = FaultKind::bad_instruction;
  return std::unexpected(AccessError{AccessError::Stage::faulted, kind, 0});
}

// Copies the rest byte by byte, and finds out which byte cannot be copied and why.
[[nodiscard]] CopyResult finish_copy(std::uint8_t* to, const std::uint8_t* from, std::size_t count,
                                     std::size_t copied);

}  // namespace detail

template <GuardedValue T>
[[nodiscard, gnu::always_inline]] inline AccessResult<T> try_load(const volatile T* from) {
  detail::Word<T> value;
  const std::uintptr_t word = isa::guarded_load(detail::plain(from), value);
  if (detail::is_fault(word)) {
    return std::unexpected(detail::fault_at(word, detail::address_of(from), sizeof(T)));
  }
  return std::bit_cast<T>(value);
}

template <GuardedValue T>
[[nodiscard, gnu::always_inline]] inline AccessResult<void> try_store(
    volatile T* to, std::type_identity_t<T> value) {
  const std::uintptr_t word =
      isa::guarded_store(detail::plain(to), std::bit_cast<detail::Word<T>>(value));
  if (detail::is_fault(word)) {
    return std::unexpected(detail::fault_at(word, detail::address_of(to), sizeof(T)));
  }
  return {};
}

template <GuardedValue T>
[[nodiscard, gnu::always_inline]] inline AccessResult<T> try_exchange(
    volatile T* to, std::type_identity_t<T> value) {
  const std::uintptr_t address = detail::address_of(to);
  if (!detail::is_aligned(address, sizeof(T))) [[unlikely]] {
    return std::unexpected(detail::rejected(FaultKind::misaligned, address));
  }
  detail::Word<T> old;
  const std::uintptr_t word =
      isa::guarded_exchange(detail::plain(to), std::bit_cast<detail::Word<T>>(value), old);
  if (detail::is_fault(word)) return std::unexpected(detail::fault_at(word, address, sizeof(T)));
  return std::bit_cast<T>(old);
}

template <GuardedValue T>
[[nodiscard, gnu::always_inline]] inline AccessResult<bool> try_compare_exchange(
    volatile T* to, std::type_identity_t<T>& expected, std::type_identity_t<T> desired) {
  const std::uintptr_t address = detail::address_of(to);
  if (!detail::is_aligned(address, sizeof(T))) [[unlikely]] {
    return std::unexpected(detail::rejected(FaultKind::misaligned, address));
  }
  const auto wanted = std::bit_cast<detail::Word<T>>(expected);
  detail::Word<T> old;
  const std::uintptr_t word = isa::guarded_compare_exchange(
      detail::plain(to), wanted, std::bit_cast<detail::Word<T>>(desired), old);
  if (detail::is_fault(word)) return std::unexpected(detail::fault_at(word, address, sizeof(T)));
  if (old == wanted) return true;
  expected = std::bit_cast<T>(old);
  return false;
}

[[nodiscard]] inline CopyResult try_copy(void* to, const void* from, std::size_t count) {
  if (detail::passes_the_end(detail::address_of(to), count)) [[unlikely]] {
    return {0, CopySide::destination,
            detail::rejected(FaultKind::not_an_address, detail::address_of(to))};
  }
  if (detail::passes_the_end(detail::address_of(from), count)) [[unlikely]] {
    return {0, CopySide::source,
            detail::rejected(FaultKind::not_an_address, detail::address_of(from))};
  }
  const std::size_t copied = isa::guarded_copy(to, from, count);
  if (copied == count) [[likely]]
    return {.copied = count};
  return detail::finish_copy(static_cast<std::uint8_t*>(to), static_cast<const std::uint8_t*>(from),
                             count, copied);
}

}  // namespace trapline::fault
