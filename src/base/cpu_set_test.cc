#include "trapline/base/cpu_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trapline {
namespace {

std::vector<std::uint32_t> members(const CpuSet& set) {
  std::vector<std::uint32_t> ids;
  set.for_each([&](CpuId cpu) { ids.push_back(cpu.value); });
  return ids;
}

TEST(CpuSet, HoldsWhatWasInsertedInAscendingOrder) {
  CpuSet set;
  for (const std::uint32_t id : {200U, 3U, 63U, 64U, 0U}) set.insert(CpuId{id});
  EXPECT_EQ(members(set), (std::vector<std::uint32_t>{0, 3, 63, 64, 200}));
  EXPECT_EQ(set.count(), 5U);
  set.erase(CpuId{63});
  EXPECT_FALSE(set.contains(CpuId{63}));
  EXPECT_TRUE(set.contains(CpuId{64}));
}

TEST(CpuSet, IdsBeyondTheLimitAreNeverMembers) {
  CpuSet set;
  set.insert(CpuId{kMaxCpus});
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.contains(CpuId{kMaxCpus}));
}

TEST(CpuSet, InsertingASetAddsItsMembers) {
  CpuSet set = *parse_cpu_list("0,64");
  set.insert(*parse_cpu_list("1,64,8191"));
  EXPECT_EQ(set, *parse_cpu_list("0-1,64,8191"));
}

TEST(ParseCpuList, ReadsTheKernelsForms) {
  EXPECT_EQ(members(*parse_cpu_list("0-3,8\n")), (std::vector<std::uint32_t>{0, 1, 2, 3, 8}));
  EXPECT_EQ(members(*parse_cpu_list("5")), (std::vector<std::uint32_t>{5}));
  EXPECT_TRUE(parse_cpu_list("\n")->empty());
  EXPECT_TRUE(parse_cpu_list("")->empty());
  EXPECT_EQ(parse_cpu_list("0-8191\n")->count(), kMaxCpus);
}

TEST(ParseCpuList, RefusesEverythingElse) {
  for (const char* text :
       {"a", "1-", "-1", "3-1", "1,,2", "1,", "8192", "99999999999", "1 2", "1\n\n", "0-3x"}) {
    const auto set = parse_cpu_list(text);
    ASSERT_FALSE(set.has_value()) << text;
    EXPECT_EQ(set.error().code, ErrorCode::bad_syntax) << text;
  }
}

}  // namespace
}  // namespace trapline
