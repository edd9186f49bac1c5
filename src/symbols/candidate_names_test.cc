#include "symbols/candidate_names.h"

#include <gtest/gtest.h>

namespace trapline::symbols {
namespace {

using Names = std::vector<std::string>;

TEST(PathTail, EndsAtASlash) {
  EXPECT_TRUE(is_path_tail("/src/net/tcp.c", "tcp.c"));
  EXPECT_TRUE(is_path_tail("/src/net/tcp.c", "net/tcp.c"));
  EXPECT_TRUE(is_path_tail("/src/net/tcp.c", "./net/tcp.c"));
  EXPECT_TRUE(is_path_tail("/src/net/tcp.c", "/src/net/tcp.c"));
  EXPECT_FALSE(is_path_tail("/src/net/tcp.c", "cp.c"));
  EXPECT_FALSE(is_path_tail("/src/net/tcp.c", "/net/tcp.c.c"));
  EXPECT_FALSE(is_path_tail("", ""));
}

TEST(TellApart, TakesTheShortestTailThatIsUnique) {
  EXPECT_EQ(tell_apart({{"x", "/p/a.c", "/bin/app", "*1:4"}, {"x", "/p/b.c", "/bin/app", "*2:4"}}),
            (Names{"a.c:x", "b.c:x"}));
  EXPECT_EQ(tell_apart(
                {{"x", "/p/one/u.c", "/bin/app", "*1:4"}, {"x", "/p/two/u.c", "/bin/app", "*2:4"}}),
            (Names{"one/u.c:x", "two/u.c:x"}));
}

TEST(TellApart, DifferentNamesMayShareAFile) {
  EXPECT_EQ(
      tell_apart({{"f::x", "/p/a.c", "/bin/app", "*1:4"}, {"g::x", "/p/a.c", "/bin/app", "*2:4"}}),
      (Names{"a.c:f::x", "a.c:g::x"}));
}

TEST(TellApart, FallsBackToTheModuleAndThenToTheAddress) {
  EXPECT_EQ(
      tell_apart({{"x", "", "/lib/libone.so.1", "*1:4"}, {"x", "", "/lib/libtwo.so", "*2:4"}}),
      (Names{"libone.so.1:x", "libtwo.so:x"}));
  EXPECT_EQ(tell_apart({{"x", "/p/a.c", "/bin/app", "*1:4"}, {"x", "/p/a.c", "/bin/app", "*2:4"}}),
            (Names{"*1:4", "*2:4"}));
}

}  // namespace
}  // namespace trapline::symbols
