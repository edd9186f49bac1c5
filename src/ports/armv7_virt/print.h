// Lines of text on the console, put together from parts without a heap:
//
//     print_line("CPU ", cpu, " stopped at ", Hex{pc});
//
// A line is written whole: lines of several CPUs do not mix. From any context; a fault handler that
// finds the console taken by the code it interrupted waits a moment and writes all the same.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::armv7_virt {

// Printed as 0x40001000.
struct Hex {
  std::uint32_t value;
};
// Printed with so many digits behind the point: {15, 1} is 1.5.
struct Tenths {
  std::uint64_t value;
};
// Padded with spaces on the right.
struct Padded {
  std::string_view text;
  std::size_t width;
};

// What is longer than the buffer ends in "...".
class LineBuffer {
 public:
  void add(std::string_view text);
  void add(char character) { add(std::string_view(&character, 1)); }
  void add(Hex hex);
  void add(Tenths tenths);
  void add(Padded padded);
  void add(CpuId cpu) { add_number(cpu.value); }
  void add(RemoteAddress address) { add(Hex{static_cast<std::uint32_t>(address.value())}); }
  void add(ErrorCode code) { add(name_of(code)); }
  template <std::unsigned_integral T>
  void add(T number) {
    add_number(number);
  }
  template <std::signed_integral T>
  void add(T number) {
    if (number < 0) add('-');
    const auto magnitude = static_cast<std::uint64_t>(number);
    add_number(number < 0 ? std::uint64_t{0} - magnitude : magnitude);
  }

  [[nodiscard]] std::string_view text() const { return {text_.data(), length_}; }

 private:
  void add_number(std::uint64_t number);

  std::array<char, 240> text_;
  std::size_t length_ = 0;
};

void write_text(std::string_view text);

template <typename... Parts>
void print(const Parts&... parts) {
  LineBuffer line;
  (line.add(parts), ...);
  write_text(line.text());
}
template <typename... Parts>
void print_line(const Parts&... parts) {
  print(parts..., '\n');
}

// Called with everything that is written, beside the console; nullptr: nobody. For tests.
using PrintWitness = void (*)(std::string_view text);
void set_print_witness(PrintWitness witness);

}  // namespace trapline::armv7_virt
