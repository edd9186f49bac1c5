#include "report/enumerator_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trapline::report {
namespace {

using Enumerators = std::vector<symbols::Enumerator>;

std::string text(std::uint64_t bits, const Enumerators& enumerators) {
  fmt::memory_buffer buffer;
  const bool is_named = append_enumerators(buffer, bits, enumerators);
  EXPECT_EQ(is_named, buffer.size() > 0);
  return fmt::to_string(buffer);
}

TEST(EnumeratorText, ValueHasItsNameOrNone) {
  const Enumerators phases{{"idle", 0}, {"running", 5}, {"stopped", 6}};
  EXPECT_EQ(text(0, phases), "idle");
  EXPECT_EQ(text(6, phases), "stopped");
  EXPECT_EQ(text(1, phases), "");
  EXPECT_EQ(text(7, phases), "");
  EXPECT_EQ(text(0, {}), "");
}

TEST(EnumeratorText, FirstNameOfAValueIsShown) {
  EXPECT_EQ(text(1, {{"first", 1}, {"second", 1}}), "first");
}

TEST(EnumeratorText, FlagsAreListedFromTheLowestOn) {
  const Enumerators rights{{"NONE", 0}, {"READ", 1}, {"WRITE", 2}, {"RUN", 4}};
  EXPECT_EQ(text(0, rights), "NONE");
  EXPECT_EQ(text(3, rights), "READ|WRITE");
  EXPECT_EQ(text(7, rights), "READ|WRITE|RUN");
  EXPECT_EQ(text(8, rights), "");
  EXPECT_EQ(text(9, rights), "") << "a bit without a name makes it a number";
  EXPECT_EQ(text(0, {{"READ", 1}, {"WRITE", 2}}), "");
  EXPECT_EQ(text(3, {{"READ", 1}, {"WRITE", 2}}), "READ|WRITE");
}

TEST(EnumeratorText, CombinationsAndAllOnesDoNotMakeAnEnumerationLessOfFlags) {
  const Enumerators rights{{"READ", 1}, {"WRITE", 2}, {"BOTH", 3},
                           {"RUN", 4},  {"LOOK", 4},  {"FORCE_INT", 0x7fffffff}};
  EXPECT_EQ(text(3, rights), "BOTH");
  EXPECT_EQ(text(5, rights), "READ|RUN");
  EXPECT_EQ(text(7, rights), "READ|WRITE|RUN");
  EXPECT_EQ(text(6, {{"A", 2}, {"B", 4}, {"INVALID", 0xffffffff}}), "A|B");
}

// A state that was overwritten is no two states at once.
TEST(EnumeratorText, NumberedValuesAreNeverCombined) {
  EXPECT_EQ(text(3, {{"idle", 0}, {"running", 1}, {"stopped", 2}}), "");
  EXPECT_EQ(text(5, {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}}), "");
  EXPECT_EQ(text(6, {{"a", 0}, {"b", 2}, {"c", 4}, {"d", 5}}), "") << "5 is no OR of the others";
  EXPECT_EQ(text(3, {{"only", 1}}), "");
}

TEST(EnumeratorText, ForeignNamesCannotReachTheTerminal) {
  EXPECT_EQ(text(1, {{"a\x1b[1m", 1}}), "a?[1m");
}

}  // namespace
}  // namespace trapline::report
