// The kinds of access a debug register can be asked to catch. Freestanding; plain values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace trapline {

enum class Access : std::uint8_t { read, write, read_write, execute };

// The word used on the command line and in JSON: "r", "w", "rw", "x".
[[nodiscard]] constexpr std::string_view name_of(Access access) {
  switch (access) {
    case Access::read:
      return "r";
    case Access::write:
      return "w";
    case Access::read_write:
      return "rw";
    case Access::execute:
      return "x";
  }
  return "?";
}

// A set of access kinds.
class AccessSet {
 public:
  constexpr AccessSet() = default;
  constexpr AccessSet(std::initializer_list<Access> members) {
    for (const Access access : members) bits_ = static_cast<std::uint8_t>(bits_ | bit(access));
  }
  [[nodiscard]] constexpr bool contains(Access access) const { return (bits_ & bit(access)) != 0; }
  friend constexpr bool operator==(AccessSet, AccessSet) = default;

 private:
  static constexpr std::uint8_t bit(Access access) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(access));
  }
  std::uint8_t bits_ = 0;
};

}  // namespace trapline
