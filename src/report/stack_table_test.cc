#include "report/stack_table.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace trapline::report {
namespace {

using Addresses = std::vector<RemoteAddress>;

class StackTableTest : public ::testing::Test {
 protected:
  // Frames that say how many were resolved before.
  std::uint64_t id_of(const StackKey& key) {
    return table_
        .find_or_resolve(key,
                         [this](const StackKey& missing) {
                           ++resolved_;
                           return std::vector<symbols::Frame>{
                               {missing.trap_ip, std::to_string(resolved_), 0, "", 0, "", false}};
                         })
        .id;
  }

  static constexpr std::size_t kLimit = 8;
  StackTable table_{kLimit};
  int resolved_ = 0;
};

TEST_F(StackTableTest, StackIsResolvedOnceAndKeepsItsId) {
  const Addresses callers{RemoteAddress(1), RemoteAddress(2)};
  const StackKey key{
      .trap_ip = RemoteAddress(10), .culprit_ip = RemoteAddress(9), .callers = callers};
  const std::uint64_t id = id_of(key);
  EXPECT_EQ(id, 1U);
  EXPECT_EQ(id_of(key), id);
  const Addresses same{RemoteAddress(1), RemoteAddress(2)};
  EXPECT_EQ(id_of({.trap_ip = RemoteAddress(10), .culprit_ip = RemoteAddress(9), .callers = same}),
            id);
  EXPECT_EQ(resolved_, 1);
}

TEST_F(StackTableTest, EveryPartOfTheKeyTellsStacksApart) {
  const Addresses none;
  const Addresses one{RemoteAddress(1)};
  const Addresses zero{RemoteAddress(0)};
  const Addresses two{RemoteAddress(1), RemoteAddress(2)};
  const RemoteAddress ip(10);
  const std::vector<StackKey> keys{
      {.trap_ip = ip, .callers = one},
      {.trap_ip = RemoteAddress(11), .callers = one},
      {.trap_ip = ip, .culprit_ip = ip, .callers = one},
      {.trap_ip = ip, .culprit_ip = RemoteAddress(0), .callers = one},
      {.trap_ip = ip, .in_kernel = true, .callers = one},
      {.trap_ip = ip, .user_ip = RemoteAddress(0), .callers = one},
      {.trap_ip = ip, .callers = two},
      {.trap_ip = ip, .callers = none},
      {.view = 1, .trap_ip = ip, .callers = one},
      {.view = 10, .trap_ip = RemoteAddress(1), .callers = one},
  };
  std::set<std::uint64_t> ids;
  for (const StackKey& key : keys) ids.insert(id_of(key));
  EXPECT_EQ(ids.size(), keys.size());
  table_.clear();
  ids.clear();
  // Kernel and user addresses are not one list.
  ids.insert(id_of({.trap_ip = ip, .in_kernel = true, .kernel_stack = one, .callers = zero}));
  ids.insert(id_of({.trap_ip = ip, .in_kernel = true, .kernel_stack = zero, .callers = one}));
  ids.insert(id_of({.trap_ip = ip, .in_kernel = true, .kernel_stack = two}));
  ids.insert(id_of({.trap_ip = ip, .in_kernel = true, .kernel_stack = one, .callers = none}));
  ids.insert(
      id_of({.trap_ip = ip, .in_kernel = true, .user_ip = RemoteAddress(1), .callers = none}));
  EXPECT_EQ(ids.size(), 5U);
}

TEST_F(StackTableTest, FullTableStartsAfreshAndNeverReusesAnId) {
  std::set<std::uint64_t> ids;
  constexpr std::uint64_t kStacks = 3 * kLimit;
  for (std::uint64_t ip = 0; ip < kStacks; ++ip) {
    ids.insert(id_of({.trap_ip = RemoteAddress(ip)}));
    EXPECT_LE(table_.size(), kLimit);
  }
  EXPECT_EQ(ids.size(), kStacks);
  // Forgotten by now: resolved again, under a new name.
  EXPECT_FALSE(ids.contains(id_of({.trap_ip = RemoteAddress(0)})));
}

TEST_F(StackTableTest, ClearForgetsWhatWasResolved) {
  const std::uint64_t before = id_of({.trap_ip = RemoteAddress(1)});
  table_.clear();
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_NE(id_of({.trap_ip = RemoteAddress(1)}), before);
  EXPECT_EQ(resolved_, 2);
}

TEST_F(StackTableTest, ResolverIsGivenTheKeyOfTheMissingStack) {
  const Addresses callers{RemoteAddress(1)};
  const StackKey key{.trap_ip = RemoteAddress(5), .callers = callers};
  const auto& stack = table_.find_or_resolve(key, [&](const StackKey& missing) {
    EXPECT_EQ(missing.trap_ip, RemoteAddress(5));
    EXPECT_EQ(missing.callers.data(), callers.data());
    return std::vector<symbols::Frame>{{missing.trap_ip, "bump", 0, "", 0, "", false}};
  });
  ASSERT_EQ(stack.frames.size(), 1U);
  EXPECT_EQ(stack.frames[0].symbol, "bump");
}

}  // namespace
}  // namespace trapline::report
