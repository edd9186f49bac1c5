// get_user and put_user: memory that belongs to user code, accessed with user code's rights.
//
// The instructions are the unprivileged ones (LDRT, STRT and their kin: Arm ARM A8.8.92): the MMU
// checks them as if user code made the access, so that a pointer into privileged memory, handed in
// by user code, is refused as it should be. Each has an exception-table entry. Privileged modes,
// any context in which the fault's handler may run; misaligned addresses work.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "isa/armv7/guarded_instructions.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"
#include "trapline/fault/exception_table.h"

namespace trapline::isa::armv7 {

template <typename T>
concept UserValue = std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t> ||
                    std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t>;

namespace detail {

#define TRAPLINE_USER_LOAD(type, instruction)                                      \
  [[nodiscard]] inline std::uintptr_t load_user(std::uint32_t from, type& value) { \
    TRAPLINE_FAULT_WORD(word);                                                     \
    std::uint32_t loaded = 0;                                                      \
    asm volatile(TRAPLINE_GUARDED(instruction " %[loaded], [%[from]]", 17)         \
                 : [loaded] "+r"(loaded), [word] "+r"(word)                        \
                 : [from] "r"(from)                                                \
                 : "memory");                                                      \
    value = static_cast<type>(loaded);                                             \
    return word;                                                                   \
  }
TRAPLINE_USER_LOAD(std::uint8_t, "ldrbt")
TRAPLINE_USER_LOAD(std::uint16_t, "ldrht")
TRAPLINE_USER_LOAD(std::uint32_t, "ldrt")
#undef TRAPLINE_USER_LOAD

#define TRAPLINE_USER_STORE(type, instruction)                                   \
  [[nodiscard]] inline std::uintptr_t store_user(std::uint32_t to, type value) { \
    TRAPLINE_FAULT_WORD(word);                                                   \
    asm volatile(TRAPLINE_GUARDED(instruction " %[value], [%[to]]", 18)          \
                 : [word] "+r"(word)                                             \
                 : [to] "r"(to), [value] "r"(value)                              \
                 : "memory");                                                    \
    return word;                                                                 \
  }
TRAPLINE_USER_STORE(std::uint8_t, "strbt")
TRAPLINE_USER_STORE(std::uint16_t, "strht")
TRAPLINE_USER_STORE(std::uint32_t, "strt")
#undef TRAPLINE_USER_STORE

// There is no unprivileged load of a doubleword: two of a word.
[[nodiscard]] inline std::uintptr_t load_user(std::uint32_t from, std::uint64_t& value) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  if (const auto word = load_user(from, low); word != 0) return word;
  if (const auto word = load_user(from + sizeof(low), high); word != 0) return word;
  value = std::uint64_t{high} << 32 | low;
  return 0;
}
[[nodiscard]] inline std::uintptr_t store_user(std::uint32_t to, std::uint64_t value) {
  // The second word first: where it cannot be stored, the first one has not been either.
  const auto high = static_cast<std::uint32_t>(value >> 32);
  if (const auto word = store_user(to + sizeof(high), high); word != 0) return word;
  return store_user(to, static_cast<std::uint32_t>(value));
}

[[nodiscard]] inline std::expected<void, fault::FaultKind> outcome_of(std::uintptr_t word) {
  if (word != 0) return std::unexpected(fault::kind_of_fault(word));
  return {};
}

}  // namespace detail

// Errors: why the access faulted; nothing was loaded.
template <UserValue T>
[[nodiscard]] std::expected<T, fault::FaultKind> get_user(RemoteAddress from) {
  T value = 0;
  const auto word = detail::load_user(static_cast<std::uint32_t>(from.value()), value);
  if (const auto done = detail::outcome_of(word); !done) return std::unexpected(done.error());
  return value;
}

// Errors: why the access faulted. An access that lies across the end of a page may have stored what
// lies before it, as any store of the CPU's may.
template <UserValue T>
[[nodiscard]] std::expected<void, fault::FaultKind> put_user(T value, RemoteAddress to) {
  return detail::outcome_of(detail::store_user(static_cast<std::uint32_t>(to.value()), value));
}

// Bytes, in ascending order; returns how many were copied before the first that faults.
[[nodiscard]] inline std::size_t copy_from_user(void* to, RemoteAddress from, std::size_t length) {
  auto* const bytes = static_cast<std::uint8_t*>(to);
  for (std::size_t index = 0; index < length; ++index) {
    const auto byte = get_user<std::uint8_t>(from + ByteCount{index});
    if (!byte) return index;
    bytes[index] = *byte;
  }
  return length;
}
[[nodiscard]] inline std::size_t copy_to_user(RemoteAddress to, const void* from,
                                              std::size_t length) {
  const auto* const bytes = static_cast<const std::uint8_t*>(from);
  for (std::size_t index = 0; index < length; ++index) {
    if (!put_user(bytes[index], to + ByteCount{index})) return index;
  }
  return length;
}

}  // namespace trapline::isa::armv7
