#include "report/value_text.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>

namespace trapline::report {
namespace {

using symbols::ValueKind;
using symbols::ValueType;

constexpr std::uint64_t kWordBytes = 8;
constexpr unsigned kBitsPerByte = 8;

std::uint64_t unsigned_bits(const MemoryValue& value, const ValueType& type) {
  if (type.length.value == 0 || type.length.value >= kWordBytes) return value.bits;
  return value.bits & ((std::uint64_t{1} << (type.length.value * kBitsPerByte)) - 1);
}

std::int64_t signed_bits(const MemoryValue& value, const ValueType& type) {
  if (type.length.value == 0 || type.length.value >= kWordBytes)
    return static_cast<std::int64_t>(value.bits);
  const unsigned unused = static_cast<unsigned>(kWordBytes - type.length.value) * kBitsPerByte;
  return static_cast<std::int64_t>(value.bits << unused) >> unused;
}

double float_bits(const MemoryValue& value, const ValueType& type) {
  if (type.length.value == sizeof(float)) {
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value.bits)));
  }
  return std::bit_cast<double>(value.bits);
}

bool is_printable(std::uint64_t character) {
  return character >= ' ' && character <= '~';
}

// A long double or a 16-bit float: no C++ type here has its shape.
bool is_known_float(const ValueType& type) {
  return type.length.value == sizeof(float) || type.length.value == sizeof(double);
}

// From the lowest address on, as a memory dump shows them.
void append_bytes(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type,
                  const char* separator) {
  const std::uint64_t count =
      type.length.value == 0 || type.length.value > kWordBytes ? kWordBytes : type.length.value;
  for (std::uint64_t index = 0; index < count; ++index) {
    fmt::format_to(std::back_inserter(buffer), "{}{:02x}", index == 0 ? "" : separator,
                   value.bits >> (index * kBitsPerByte) & 0xff);
  }
}

// A number that reads back to the same bits.
void append_float(fmt::memory_buffer& buffer, double number, bool is_single) {
  if (is_single) {
    fmt::format_to(std::back_inserter(buffer), "{}", static_cast<float>(number));
  } else {
    fmt::format_to(std::back_inserter(buffer), "{}", number);
  }
}

}  // namespace

void append_text(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type) {
  const auto out = std::back_inserter(buffer);
  switch (type.kind) {
    case ValueKind::boolean:
      fmt::format_to(out, "{}", unsigned_bits(value, type) != 0);
      return;
    case ValueKind::character: {
      const std::uint64_t bits = unsigned_bits(value, type);
      if (is_printable(bits)) {
        fmt::format_to(out, "'{}' ({})", static_cast<char>(bits), bits);
      } else if (type.is_signed) {
        fmt::format_to(out, "{}", signed_bits(value, type));
      } else {
        fmt::format_to(out, "{}", bits);
      }
      return;
    }
    case ValueKind::pointer:
      fmt::format_to(out, "{:#x}", unsigned_bits(value, type));
      return;
    case ValueKind::floating:
      if (!is_known_float(type)) break;
      append_float(buffer, float_bits(value, type), type.length.value == sizeof(float));
      return;
    case ValueKind::signed_integer:
    case ValueKind::unsigned_integer:
    case ValueKind::enumeration:
      if (type.is_signed) {
        fmt::format_to(out, "{}", signed_bits(value, type));
      } else {
        fmt::format_to(out, "{}", unsigned_bits(value, type));
      }
      return;
    case ValueKind::bytes:
      break;
  }
  append_bytes(buffer, value, type, " ");
}

void append_json(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type) {
  const auto out = std::back_inserter(buffer);
  switch (type.kind) {
    case ValueKind::boolean:
      fmt::format_to(out, "{}", unsigned_bits(value, type) != 0);
      return;
    case ValueKind::floating: {
      if (!is_known_float(type)) break;
      const double number = float_bits(value, type);
      const char* const quote = std::isfinite(number) ? "" : "\"";
      buffer.append(std::string_view(quote));
      append_float(buffer, number, type.length.value == sizeof(float));
      buffer.append(std::string_view(quote));
      return;
    }
    case ValueKind::bytes:
      break;
    default:
      if (type.is_signed) {
        fmt::format_to(out, "{}", signed_bits(value, type));
      } else {
        fmt::format_to(out, "{}", unsigned_bits(value, type));
      }
      return;
  }
  buffer.append(std::string_view("\"0x"));
  append_bytes(buffer, value, type, "");
  buffer.push_back('"');
}

double as_number(const MemoryValue& value, const ValueType& type) {
  if (type.kind == ValueKind::floating && is_known_float(type)) return float_bits(value, type);
  if (type.is_signed) return static_cast<double>(signed_bits(value, type));
  return static_cast<double>(unsigned_bits(value, type));
}

}  // namespace trapline::report
