#include "trapline/fault/guarded_access.h"

namespace trapline::fault {
namespace {

// Accesses of this many bytes at multiples of it lie in one page: such a one is possible as a whole
// or not at all, and where it is not, its first byte is not.
constexpr std::size_t kWordBytes = sizeof(std::uintptr_t);

constexpr std::uintptr_t in_every_byte(std::uint8_t value) {
  return ~std::uintptr_t{0} / 0xff * value;
}

// Whether one of the word's bytes is zero: only that one is without its upper bit and borrows it
// when 1 is taken away.
constexpr bool has_zero_byte(std::uintptr_t word) {
  return ((word - in_every_byte(0x01)) & ~word & in_every_byte(0x80)) != 0;
}

std::uintptr_t load(const void* from, std::uint8_t& value) {
  return isa::guarded_load(from, value);
}

std::uintptr_t load_word(const void* from, std::uintptr_t& value) {
  detail::Word<std::uintptr_t> loaded;
  const std::uintptr_t word = isa::guarded_load(from, loaded);
  value = static_cast<std::uintptr_t>(loaded);
  return word;
}

}  // namespace

CopyResult detail::finish_copy(std::uint8_t* to, const std::uint8_t* from, std::size_t count,
                               std::size_t copied) {
  for (; copied < count; ++copied) {
    std::uint8_t value;
    if (const std::uintptr_t word = load(from + copied, value); word != 0) {
      return {copied, CopySide::source, fault_at(word, address_of(from + copied), 1)};
    }
    if (const std::uintptr_t word = isa::guarded_store(to + copied, value); word != 0) {
      return {copied, CopySide::destination, fault_at(word, address_of(to + copied), 1)};
    }
  }
  return {.copied = count};
}

FillResult try_fill(void* to, std::uint8_t value, std::size_t count) {
  auto* const bytes = static_cast<std::uint8_t*>(to);
  const std::uintptr_t first = detail::address_of(to);
  if (detail::passes_the_end(first, count)) {
    return {0, detail::rejected(FaultKind::not_an_address, first)};
  }
  const auto words = static_cast<detail::Word<std::uintptr_t>>(in_every_byte(value));
  std::size_t filled = 0;
  while (filled < count) {
    std::uintptr_t word = 0;
    std::size_t step = 1;
    if (count - filled >= kWordBytes && detail::is_aligned(first + filled, kWordBytes)) {
      step = kWordBytes;
      word = isa::guarded_store(bytes + filled, words);
    } else {
      word = isa::guarded_store(bytes + filled, value);
    }
    if (word != 0) return {filled, detail::fault_at(word, first + filled, step)};
    filled += step;
  }
  return {.filled = count};
}

AccessResult<std::size_t> try_strnlen(const char* text, std::size_t limit) {
  const std::uintptr_t first = detail::address_of(text);
  std::size_t length = 0;
  while (length < limit) {
    // The end of a range that passes the end of memory is only an error if the text goes so far.
    if (first + length < first) {
      return std::unexpected(detail::rejected(FaultKind::not_an_address, first));
    }
    std::uintptr_t fault = 0;
    if (limit - length >= kWordBytes && detail::is_aligned(first + length, kWordBytes)) {
      std::uintptr_t word;
      fault = load_word(text + length, word);
      if (fault == 0 && !has_zero_byte(word)) {
        length += kWordBytes;
        continue;
      }
    }
    std::uint8_t byte = 0;
    if (fault == 0) fault = load(text + length, byte);
    if (fault != 0) return std::unexpected(detail::fault_at(fault, first + length, 1));
    if (byte == 0) return length;
    ++length;
  }
  return limit;
}

}  // namespace trapline::fault
