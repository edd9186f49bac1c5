// How the bytes of a watched object are to be read: the little of a DWARF type that a value's text
// needs. Pure data; owns all it says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trapline/base/units.h"

namespace trapline::symbols {

enum class ValueKind : std::uint8_t {
  bytes,  // unknown, or an aggregate: then `parts` may tell more
  signed_integer,
  unsigned_integer,
  boolean,
  character,
  floating,
  pointer,
  enumeration,
};

// Some bits of up to 8 bytes, counted from the lowest bit of the byte at the lowest address.
struct BitRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  friend bool operator==(const BitRange&, const BitRange&) = default;
};

struct Enumerator {
  std::string name;
  std::uint64_t bits = 0;  // as memory has it: no sign is extended beyond the type's length
};

struct ValuePart;

struct ValueType {
  ValueType() = default;
  // Of a type without names and parts.
  ValueType(ValueKind its_kind, ByteCount its_length, std::string its_name, bool has_sign);

  ValueKind kind = ValueKind::bytes;
  ByteCount length;
  std::string name;  // as declared: "int", "struct node *"; "" if unknown, and of a part
  bool is_signed = false;
  // Of a bit-field: where it lies in the `length` bytes.
  std::optional<BitRange> bits;
  // Of an enumeration, by value; those of equal value in the order of their declaration.
  std::vector<Enumerator> enumerators;
  // Of a struct, class or union: members and base classes in the order of their declaration, but
  // for those without data. Of an array: one, its first element. Empty if unknown.
  std::vector<ValuePart> parts;
  std::uint64_t element_count = 0;  // of an array whose parts are known; else 0
  bool is_text = false;             // an array of char
};

struct ValuePart {
  std::string name;  // "" of a base class, an anonymous member, an element
  ByteCount offset;  // of a bit-field: of the first byte it lies in
  ValueType type;
};

// Here, where the parts are complete.
inline ValueType::ValueType(ValueKind its_kind, ByteCount its_length, std::string its_name,
                            bool has_sign)
    : kind(its_kind), length(its_length), name(std::move(its_name)), is_signed(has_sign) {}

// The number in the bits of a bit-field, its sign extended to 64 bits. `field` lies in 64 bits and
// is not empty.
[[nodiscard]] constexpr std::uint64_t extract_bits(std::uint64_t value, BitRange field,
                                                   bool is_signed) {
  constexpr std::uint64_t kWordBits = 64;
  const std::uint64_t unused = kWordBits - field.count;
  const std::uint64_t at_top = value << (unused - field.first);
  return is_signed ? static_cast<std::uint64_t>(static_cast<std::int64_t>(at_top) >> unused)
                   : at_top >> unused;
}

}  // namespace trapline::symbols
