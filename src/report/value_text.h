// A watched value as text: for people and as JSON. Pure.
#pragma once

#include <fmt/format.h>

#include "symbols/value_type.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/request.h"

namespace trapline::report {

// How many bytes the values of `hit` have: the whole watch where it fits 8 bytes, else only what
// the slot that fired covers.
[[nodiscard]] ByteCount value_length(const Request& watch, const Hit& hit);

// The value's low `length` bytes, without a sign.
[[nodiscard]] std::uint64_t low_bytes(const MemoryValue& value, ByteCount length);

// Everything below reads `length` bytes (at most 8) of a known value as `type`, if that is the
// type's own length and the type is a scalar; else as bytes: a slot of a longer object is not one
// value of its type.

// "41", "-1", "true", "'a' (97)", "2.5", "0x7f00"; a bool that is neither 0 nor 1 as "true (7)";
// bytes as "de ad be ef" from the lowest address on.
void append_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                 const symbols::ValueType& type, ByteCount length);

// A JSON number (for a bool too: a corrupt one may be 7); a string for what JSON has no number for:
// "nan", "inf", "-inf", and bytes as "0xdeadbeef", lowest address first.
void append_json(fmt::memory_buffer& buffer, const MemoryValue& value,
                 const symbols::ValueType& type, ByteCount length);

// Whether the values have an order that means something: numbers do, bytes and NaN do not.
[[nodiscard]] bool is_ordered(const MemoryValue& value, const symbols::ValueType& type,
                              ByteCount length);
// a < b, for values that are ordered. Exact for 64-bit integers too.
[[nodiscard]] bool is_less(const MemoryValue& a, const MemoryValue& b,
                           const symbols::ValueType& type, ByteCount length);

}  // namespace trapline::report
