#include "tools/trapline/messages.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace trapline::command {
namespace {

// Blanks as wide as `text`: a tab is one, and what continues a character of UTF-8 none.
std::string blanks(std::string_view text) {
  constexpr unsigned char kMask = 0xc0;
  constexpr unsigned char kContinuation = 0x80;
  std::string result;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & kMask) == kContinuation) continue;
    result += c == '\t' ? '\t' : ' ';
  }
  return result;
}

}  // namespace

std::string pointing_at(const std::string& text, std::size_t position) {
  return fmt::format("(at character {})\n    {}\n    {}^", position + 1, text,
                     blanks(std::string_view(text).substr(0, position)));
}

void print_failure(const Failure& failure) {
  fmt::print(stderr, "trapline: {}\n", failure.message);
}

void print_output_failure() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  fmt::print(stderr, "trapline: standard output cannot be written: {}\n", std::strerror(errno));
}

}  // namespace trapline::command
