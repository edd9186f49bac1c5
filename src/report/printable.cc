#include "report/printable.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace trapline::report {
namespace {

constexpr std::size_t kMaxSequence = 4;
constexpr unsigned kPayloadBits = 6;

// The number of bytes of the UTF-8 sequence that `lead` begins; 0 if it cannot begin one
// (RFC 3629, section 3; 0xc0, 0xc1 and from 0xf5 on never occur).
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? kMaxSequence : 0;
}

struct Decoded {
  std::size_t length = 0;  // 0: not UTF-8
  std::uint32_t code_point = 0;
};

Decoded decode_first(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = sequence_length(lead);
  if (length == 0 || length > text.size()) return {};
  if (length == 1) return {1, lead};
  std::uint32_t code_point = lead & (0xffU >> (length + 1));
  for (const char c : text.substr(1, length - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) return {};
    code_point = code_point << kPayloadBits | (byte & 0x3f);
  }
  constexpr std::uint32_t kSmallest[kMaxSequence + 1] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < kSmallest[length] || code_point > 0x10ffff || is_surrogate) return {};
  return {length, code_point};
}

bool is_plain(char c) {
  return c >= ' ' && c <= '~';
}

bool is_control(std::uint32_t code_point) {
  return code_point < ' ' || (code_point >= 0x7f && code_point <= 0x9f);
}

}  // namespace

void append_printable(fmt::memory_buffer& buffer, std::string_view text) {
  while (!text.empty()) {
    const auto plain =
        static_cast<std::size_t>(std::ranges::find_if_not(text, is_plain) - text.begin());
    buffer.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    const Decoded decoded = decode_first(text);
    if (decoded.length == 0 || is_control(decoded.code_point)) {
      buffer.push_back('?');
    } else {
      buffer.append(text.substr(0, decoded.length));
    }
    text.remove_prefix(std::max<std::size_t>(decoded.length, 1));
  }
}

}  // namespace trapline::report
