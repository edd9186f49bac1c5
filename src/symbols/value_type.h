// How the bytes of a watched object are to be read: the little of a DWARF type that a value's text
// needs.
#pragma once

#include <cstdint>
#include <string>

#include "trapline/base/units.h"

namespace trapline::symbols {

enum class ValueKind : std::uint8_t {
  bytes,  // unknown, or an aggregate
  signed_integer,
  unsigned_integer,
  boolean,
  character,
  floating,
  pointer,
  enumeration,
};

struct ValueType {
  ValueKind kind = ValueKind::bytes;
  ByteCount length;
  std::string name;  // as declared: "int", "struct node *"; "" if unknown
  bool is_signed = false;
};

}  // namespace trapline::symbols
