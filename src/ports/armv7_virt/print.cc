#include "ports/armv7_virt/print.h"

#include <algorithm>

#include "ports/armv7_virt/spinlock.h"
#include "ports/armv7_virt/uart.h"

namespace trapline::armv7_virt {
namespace {

constexpr char digit(std::uint64_t value) {
  return "0123456789abcdef"[static_cast<std::size_t>(value)];
}
constexpr std::string_view kCut = "...\n";

Spinlock console;
PrintWitness print_witness = nullptr;

}  // namespace

void LineBuffer::add(std::string_view text) {
  const std::size_t room = text_.size() - length_;
  const std::size_t length = std::min(room, text.size());
  std::copy_n(text.data(), length, text_.data() + length_);
  length_ += length;
  if (length < text.size()) std::ranges::copy(kCut, text_.end() - kCut.size());
}

void LineBuffer::add(Hex hex) {
  add("0x");
  for (unsigned shift = 32; shift != 0;) {
    shift -= 4;
    add(digit(hex.value >> shift & 0xf));
  }
}

void LineBuffer::add(Tenths tenths) {
  add_number(tenths.value / 10);
  add('.');
  add(digit(tenths.value % 10));
}

void LineBuffer::add(Padded padded) {
  add(padded.text);
  for (std::size_t width = padded.text.size(); width < padded.width; ++width) add(' ');
}

void LineBuffer::add_number(std::uint64_t number) {
  std::array<char, 20> digits;
  std::size_t begin = digits.size();
  do {
    digits[--begin] = digit(number % 10);
    number /= 10;
  } while (number != 0);
  add(std::string_view(digits.data() + begin, digits.size() - begin));
}

void write_text(std::string_view text) {
  // Some hundred times what a line takes; whoever has not finished by then never will.
  constexpr unsigned kPatience = 10'000'000;
  const isa::armv7::IrqMask masked;
  const bool is_ours = console.try_lock(kPatience);
  uart::write(text);
  if (print_witness != nullptr) print_witness(text);
  if (is_ours) console.unlock();
}

void set_print_witness(PrintWitness witness) {
  const SpinlockGuard lock(console);
  print_witness = witness;
}

}  // namespace trapline::armv7_virt
