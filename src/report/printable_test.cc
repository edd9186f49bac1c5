#include "report/printable.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace trapline::report {
namespace {

std::string printable(std::string_view text) {
  fmt::memory_buffer buffer;
  append_printable(buffer, text);
  return fmt::to_string(buffer);
}

TEST(Printable, PlainTextAndUtf8StayAsTheyAre) {
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("std::map<int, char*>::operator[]"), "std::map<int, char*>::operator[]");
  EXPECT_EQ(printable("größe_日本_🙂"), "größe_日本_🙂");
}

TEST(Printable, ControlCharactersCannotReachTheTerminal) {
  EXPECT_EQ(printable("a\nb\tc"), "a?b?c");
  EXPECT_EQ(printable("\x1b[2J"), "?[2J");
  EXPECT_EQ(printable("\x7f"), "?");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");  // U+009B, the one-character form of ESC [
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
}

TEST(Printable, BytesThatAreNotUtf8AreReplacedOneByOne) {
  EXPECT_EQ(printable("\xff\xfe"), "??");
  EXPECT_EQ(printable("\x9b"
                      "0m"),
            "?0m");
  EXPECT_EQ(printable("x\xc3"), "x?");               // cut off
  EXPECT_EQ(printable("\xc3("), "?(");               // no continuation
  EXPECT_EQ(printable("\xc0\xaf"), "??");            // overlong
  EXPECT_EQ(printable("\xe0\x80\xaf"), "???");       // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");  // above U+10FFFF
}

}  // namespace
}  // namespace trapline::report
