// Text for a signal handler: put together in a buffer of fixed size, written by one write(2). What
// does not fit is left out. Async-signal-safe.
#pragma once

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace trapline::linux_port {

class SignalText {
 public:
  SignalText& operator<<(std::string_view text) {
    for (const char character : text) put(character);
    return *this;
  }
  SignalText& decimal(std::uint64_t value) { return number(value, 10); }
  SignalText& hex(std::uint64_t value) {
    *this << "0x";
    return number(value, 16);
  }
  // Up to 8 bytes are one number, the byte at the lowest address lowest; more are two digits each,
  // in the order of addresses.
  SignalText& bytes(std::span<const std::byte> bytes) {
    if (bytes.size() > sizeof(std::uint64_t)) {
      for (const std::byte byte : bytes) {
        put(kDigits[static_cast<std::uint8_t>(byte) >> 4]);
        put(kDigits[static_cast<std::uint8_t>(byte) & 0xf]);
      }
      return *this;
    }
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
      value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
    return hex(value);
  }

  [[nodiscard]] std::string_view text() const { return {buffer_.data(), length_}; }
  void write_to(int descriptor) const {
    std::string_view left = text();
    while (!left.empty()) {
      const ssize_t written = ::write(descriptor, left.data(), left.size());
      if (written <= 0) return;
      left.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  static constexpr std::string_view kDigits = "0123456789abcdef";

  void put(char character) {
    if (length_ < buffer_.size()) buffer_[length_++] = character;
  }
  SignalText& number(std::uint64_t value, std::uint64_t base) {
    std::array<char, 20> digits;  // 2^64 has as many
    std::size_t count = 0;
    do {
      digits[count++] = kDigits[static_cast<std::size_t>(value % base)];
      value /= base;
    } while (value != 0);
    while (count > 0) put(digits[--count]);
    return *this;
  }

  std::array<char, 512> buffer_;
  std::size_t length_ = 0;
};

}  // namespace trapline::linux_port
