// For tests: makes the bytes of perf records.
#pragma once

#include <linux/perf_event.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace trapline::linux_port::testing {

class RecordBytes {
 public:
  explicit RecordBytes(std::uint32_t type, std::uint16_t misc = PERF_RECORD_MISC_USER) {
    put(perf_event_header{.type = type, .misc = misc, .size = 0});
  }

  template <typename T>
  RecordBytes& put(const T& value) {
    const std::size_t end = bytes_.size();
    bytes_.resize(end + sizeof value);
    std::memcpy(bytes_.data() + end, &value, sizeof value);
    return *this;
  }
  RecordBytes& put_u64(std::uint64_t value) { return put(value); }
  RecordBytes& put_u32(std::uint32_t value) { return put(value); }
  // NUL-terminated and padded to 8 bytes, as the kernel does.
  RecordBytes& put_text(std::string_view text) {
    for (const char letter : text) put(letter);
    do put('\0');
    while (bytes_.size() % 8 != 0);
    return *this;
  }

  [[nodiscard]] std::vector<std::byte> done() const {
    std::vector<std::byte> bytes = bytes_;
    const auto size = static_cast<std::uint16_t>(bytes.size());
    std::memcpy(bytes.data() + offsetof(perf_event_header, size), &size, sizeof size);
    return bytes;
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace trapline::linux_port::testing
