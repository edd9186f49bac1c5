#include "symbols/nearest_names.h"

#include <gtest/gtest.h>

namespace trapline::symbols {
namespace {

TEST(EditDistance, CountsEditsUpToTheBound) {
  EXPECT_EQ(edit_distance("counter", "counter", 3), 0U);
  EXPECT_EQ(edit_distance("countr", "counter", 3), 1U);
  EXPECT_EQ(edit_distance("coutner", "counter", 3), 1U) << "a swap is one slip";
  EXPECT_EQ(edit_distance("cat", "dog", 3), 3U);
  EXPECT_EQ(edit_distance("cat", "dog", 2), 3U);
  EXPECT_EQ(edit_distance("", "abc", 3), 3U);
  EXPECT_EQ(edit_distance("a", "abcdef", 3), 4U);
}

TEST(NearestNames, KeepsTheNearestFirst) {
  NearestNames names("countr");
  for (const char* name : {"country", "counter", "encounter", "count", "unrelated", "counter"})
    names.offer(name);
  EXPECT_EQ(names.take(), (std::vector<std::string>{"count", "counter", "country"}));
}

TEST(NearestNames, FarNamesAreNotOffered) {
  NearestNames names("abc");
  names.offer("xyzzy");
  names.offer("uvw");
  EXPECT_TRUE(names.take().empty());
}

}  // namespace
}  // namespace trapline::symbols
