#include "report/typed_text.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/value_bytes.h"
#include "report/enumerator_text.h"
#include "report/printable.h"
#include "report/value_text.h"

namespace trapline::report {
namespace {

using symbols::ValueKind;
using symbols::ValuePart;
using symbols::ValueType;

bool append_pointer(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type,
                    symbols::AddressNames* names) {
  append_text(buffer, value, type, type.length);
  const RemoteAddress target(low_bytes(value, type.length));
  const auto name = names == nullptr ? std::nullopt : names->name_at(target);
  if (!name) return false;
  buffer.append(std::string_view(" <"));
  append_printable(buffer, name->symbol);
  if (name->offset != 0) fmt::format_to(fmt::appender(buffer), "+{}", name->offset);
  buffer.push_back('>');
  return true;
}

// As in C; UTF-8 is not told from other bytes.
void append_escaped(fmt::memory_buffer& buffer, unsigned char c) {
  switch (c) {
    case '"':
    case '\\':
      buffer.push_back('\\');
      buffer.push_back(static_cast<char>(c));
      return;
    case '\0':
      return buffer.append(std::string_view("\\0"));
    case '\n':
      return buffer.append(std::string_view("\\n"));
    case '\r':
      return buffer.append(std::string_view("\\r"));
    case '\t':
      return buffer.append(std::string_view("\\t"));
    default:
      break;
  }
  if (c >= ' ' && c <= '~') {
    buffer.push_back(static_cast<char>(c));
  } else {
    fmt::format_to(fmt::appender(buffer), "\\x{:02x}", c);
  }
}

class TypedText {
 public:
  TypedText(fmt::memory_buffer& buffer, const MemoryValue& value, const KnownRange& known,
            symbols::AddressNames* names)
      : buffer_(buffer), value_(value), known_(known), names_(names) {}

  bool append(const ValueType& type, std::uint64_t offset) {
    if (type.parts.empty()) return append_scalar(type, offset);
    if (type.is_text) {
      append_quoted(offset, type.element_count);
      return true;
    }
    buffer_.push_back(type.element_count > 0 ? '[' : '{');
    is_first_ = true;
    if (type.element_count > 0) {
      append_elements(type, offset);
    } else {
      append_members(type, offset);
    }
    is_first_ = false;
    buffer_.push_back(type.element_count > 0 ? ']' : '}');
    return true;
  }

  // Nothing was said of any byte.
  [[nodiscard]] bool is_empty() const { return is_empty_; }

 private:
  [[nodiscard]] std::uint64_t known_end() const {
    return known_.offset.value + known_.length.value;
  }
  [[nodiscard]] bool is_known(std::uint64_t offset, std::uint64_t length) const {
    return offset >= known_.offset.value && offset + length <= known_end();
  }
  [[nodiscard]] bool is_touched(std::uint64_t offset, std::uint64_t length) const {
    return offset < known_end() && offset + length > known_.offset.value;
  }

  void separate() {
    if (!is_first_) buffer_.append(std::string_view(", "));
    is_first_ = false;
  }

  bool append_scalar(const ValueType& type, std::uint64_t offset) {
    if (!is_known(offset, type.length.value)) {
      buffer_.push_back('?');
      return false;
    }
    MemoryValue own = value_;
    own.bits >>= (offset - known_.offset.value) * kBitsPerByte;
    if (type.bits) own.bits = symbols::extract_bits(own.bits, *type.bits, type.is_signed);
    is_empty_ = false;
    return append_scalar_text(buffer_, own, type, names_);
  }

  void append_members(const ValueType& type, std::uint64_t offset) {
    for (const ValuePart& part : type.parts) {
      const std::uint64_t place = offset + part.offset.value;
      const std::uint64_t length = part.type.length.value;
      if (length == 0 || !is_touched(place, length)) continue;
      const bool has_members = !part.type.parts.empty() && part.type.element_count == 0;
      if (part.name.empty() && has_members) {
        append_members(part.type, place);
        continue;
      }
      separate();
      append_printable(buffer_, part.name);
      if (!part.name.empty()) buffer_.append(std::string_view(" = "));
      append(part.type, place);
    }
  }

  void append_elements(const ValueType& type, std::uint64_t offset) {
    const ValueType& element = type.parts.front().type;
    const std::uint64_t size = element.length.value;
    const std::uint64_t first =
        known_.offset.value > offset ? (known_.offset.value - offset) / size : 0;
    for (std::uint64_t index = first; index < type.element_count; ++index) {
      const std::uint64_t place = offset + index * size;
      if (!is_touched(place, size)) return;
      separate();
      append(element, place);
    }
  }

  void append_quoted(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t begin = std::max(offset, known_.offset.value);
    std::uint64_t end = std::min(offset + length, known_end());
    const auto byte_at = [&](std::uint64_t place) {
      const std::uint64_t shift = (place - known_.offset.value) * kBitsPerByte;
      return static_cast<unsigned char>(value_.bits >> shift);
    };
    while (end > begin && byte_at(end - 1) == '\0') --end;
    is_empty_ = false;
    buffer_.push_back('"');
    for (std::uint64_t place = begin; place < end; ++place) append_escaped(buffer_, byte_at(place));
    buffer_.push_back('"');
  }

  fmt::memory_buffer& buffer_;
  const MemoryValue& value_;
  const KnownRange& known_;
  symbols::AddressNames* names_;
  bool is_empty_ = true;
  bool is_first_ = true;  // of the members or elements of the brackets at hand
};

}  // namespace

bool append_scalar_text(fmt::memory_buffer& buffer, const MemoryValue& value, const ValueType& type,
                        symbols::AddressNames* names) {
  if (type.kind == ValueKind::pointer) return append_pointer(buffer, value, type, names);
  const bool is_named = type.kind == ValueKind::enumeration &&
                        append_enumerators(buffer, low_bytes(value, type.length), type.enumerators);
  if (!is_named) append_text(buffer, value, type, type.length);
  return is_named;
}

bool append_typed_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                       const KnownRange& known, const ValueType& type, ByteCount offset,
                       symbols::AddressNames* names) {
  const std::size_t begin = buffer.size();
  TypedText text(buffer, value, known, names);
  const bool says_more = text.append(type, offset.value);
  if (!text.is_empty()) return says_more;
  buffer.resize(begin);
  append_text(buffer, value, ValueType(), known.length);
  return false;
}

}  // namespace trapline::report
