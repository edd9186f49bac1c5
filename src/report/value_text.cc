#include "report/value_text.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/value_bytes.h"

namespace trapline::report {
namespace {

using symbols::ValueKind;
using symbols::ValueType;

// What the bytes can be read as.
enum class Reading : std::uint8_t {
  bytes,
  signed_number,
  unsigned_number,
  boolean,
  character,
  pointer,
  single_float,
  double_float,
};

Reading reading_of(const ValueType& type, ByteCount length) {
  const bool is_whole = type.length.value == 0 || type.length == length;
  if (!is_whole || length.value > kWordBytes) return Reading::bytes;
  switch (type.kind) {
    case ValueKind::bytes:
      return Reading::bytes;
    case ValueKind::boolean:
      return Reading::boolean;
    case ValueKind::character:
      return Reading::character;
    case ValueKind::pointer:
      return Reading::pointer;
    case ValueKind::floating:
      if (length.value == sizeof(float)) return Reading::single_float;
      if (length.value == sizeof(double)) return Reading::double_float;
      return Reading::bytes;  // a 16-bit float: no C++ type here has its shape
    case ValueKind::signed_integer:
      return Reading::signed_number;
    case ValueKind::unsigned_integer:
      return Reading::unsigned_number;
    case ValueKind::enumeration:
      return type.is_signed ? Reading::signed_number : Reading::unsigned_number;
  }
  return Reading::bytes;
}

unsigned unused_bits(ByteCount length) {
  return static_cast<unsigned>(kWordBytes -
                               std::clamp<std::uint64_t>(length.value, 1, kWordBytes)) *
         kBitsPerByte;
}

std::int64_t as_signed(const MemoryValue& value, ByteCount length) {
  return static_cast<std::int64_t>(value.bits << unused_bits(length)) >> unused_bits(length);
}

float as_float(const MemoryValue& value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits));
}

double as_double(const MemoryValue& value) {
  return std::bit_cast<double>(value.bits);
}

template <typename Number>
void append_number(fmt::memory_buffer& buffer, Number number) {
  fmt::format_to(fmt::appender(buffer), "{}", number);
}

void append_character(fmt::memory_buffer& buffer, const MemoryValue& value, bool is_signed,
                      ByteCount length) {
  const std::uint64_t code = low_bytes(value, length);
  if (code >= ' ' && code <= '~') {
    fmt::format_to(fmt::appender(buffer), "'{}' ({})", static_cast<char>(code), code);
  } else if (is_signed) {
    append_number(buffer, as_signed(value, length));
  } else {
    append_number(buffer, code);
  }
}

void append_boolean(fmt::memory_buffer& buffer, const MemoryValue& value, ByteCount length) {
  const std::uint64_t number = low_bytes(value, length);
  buffer.append(std::string_view(number == 0 ? "false" : "true"));
  if (number > 1) fmt::format_to(fmt::appender(buffer), " ({})", number);
}

// From the lowest address on, as a memory dump shows them.
void append_bytes(fmt::memory_buffer& buffer, const MemoryValue& value, ByteCount length,
                  std::string_view separator) {
  const std::uint64_t count = std::min(length.value, kWordBytes);
  for (std::uint64_t index = 0; index < count; ++index) {
    if (index != 0) buffer.append(separator);
    fmt::format_to(fmt::appender(buffer), "{:02x}", value.bits >> (index * kBitsPerByte) & 0xff);
  }
}

// The shortest text that reads back to the same bits; a NaN's sign and payload are not shown.
template <typename Float>
void append_float(fmt::memory_buffer& buffer, Float number, std::string_view quote_others) {
  if (std::isfinite(number)) {
    append_number(buffer, number);
    return;
  }
  buffer.append(quote_others);
  if (std::isnan(number)) {
    buffer.append(std::string_view("nan"));
  } else {
    append_number(buffer, number);
  }
  buffer.append(quote_others);
}

}  // namespace

std::uint64_t low_bytes(const MemoryValue& value, ByteCount length) {
  return value.bits << unused_bits(length) >> unused_bits(length);
}

ByteCount value_length(const Request& watch, const Hit& hit) {
  return watch.length.value <= kWordBytes ? watch.length : hit.length;
}

void append_text(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type,
                 ByteCount length) {
  switch (reading_of(type, length)) {
    case Reading::bytes:
      return append_bytes(buffer, value, length, " ");
    case Reading::signed_number:
      return append_number(buffer, as_signed(value, length));
    case Reading::unsigned_number:
      return append_number(buffer, low_bytes(value, length));
    case Reading::boolean:
      return append_boolean(buffer, value, length);
    case Reading::character:
      return append_character(buffer, value, type.is_signed, length);
    case Reading::pointer:
      fmt::format_to(fmt::appender(buffer), "{:#x}", low_bytes(value, length));
      return;
    case Reading::single_float:
      return append_float(buffer, as_float(value), "");
    case Reading::double_float:
      return append_float(buffer, as_double(value), "");
  }
}

void append_json(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type,
                 ByteCount length) {
  switch (reading_of(type, length)) {
    case Reading::bytes:
      buffer.append(std::string_view("\"0x"));
      append_bytes(buffer, value, length, "");
      buffer.push_back('"');
      return;
    case Reading::character:
      if (type.is_signed) return append_number(buffer, as_signed(value, length));
      return append_number(buffer, low_bytes(value, length));
    case Reading::signed_number:
      return append_number(buffer, as_signed(value, length));
    case Reading::unsigned_number:
    case Reading::boolean:
    case Reading::pointer:
      return append_number(buffer, low_bytes(value, length));
    case Reading::single_float:
      return append_float(buffer, as_float(value), "\"");
    case Reading::double_float:
      return append_float(buffer, as_double(value), "\"");
  }
}

bool is_ordered(const MemoryValue& value, const ValueType& type, ByteCount length) {
  switch (reading_of(type, length)) {
    case Reading::bytes:
      return false;
    case Reading::single_float:
      return !std::isnan(as_float(value));
    case Reading::double_float:
      return !std::isnan(as_double(value));
    default:
      return true;
  }
}

bool is_less(const MemoryValue& a, const MemoryValue& b, const ValueType& type, ByteCount length) {
  switch (reading_of(type, length)) {
    case Reading::single_float:
      return as_float(a) < as_float(b);
    case Reading::double_float:
      return as_double(a) < as_double(b);
    case Reading::signed_number:
      return as_signed(a, length) < as_signed(b, length);
    case Reading::character:
      if (type.is_signed) return as_signed(a, length) < as_signed(b, length);
      return low_bytes(a, length) < low_bytes(b, length);
    default:
      return low_bytes(a, length) < low_bytes(b, length);
  }
}

}  // namespace trapline::report
