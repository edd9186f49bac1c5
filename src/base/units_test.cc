#include "trapline/base/units.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <type_traits>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/error.h"

namespace trapline {
namespace {

TEST(Units, DifferentMeaningsAreDifferentTypes) {
  static_assert(!std::is_convertible_v<ByteCount, Nanoseconds>);
  static_assert(!std::is_convertible_v<int, ByteCount>);
  static_assert(!std::is_convertible_v<ByteCount, std::uint64_t>);
  EXPECT_LT(CpuId{1}, CpuId{2});
}

TEST(RemoteAddress, ArithmeticWrapsAsTheHardwareDoes) {
  const RemoteAddress top(~std::uint64_t{0});
  EXPECT_EQ(top + ByteCount{1}, RemoteAddress(0));
  EXPECT_EQ(RemoteAddress(0) - ByteCount{1}, top);
  EXPECT_EQ(RemoteAddress(0x1010) - RemoteAddress(0x1000), ByteCount{0x10});
}

TEST(RemoteAddress, NeverBecomesAPointerByItself) {
  static_assert(!std::is_convertible_v<RemoteAddress, const void*>);
  static_assert(!std::is_constructible_v<const void*, RemoteAddress>);
  static_assert(!std::is_convertible_v<std::uint64_t, RemoteAddress>);
  int local = 0;
  EXPECT_EQ(RemoteAddress::of_local(&local).value(), reinterpret_cast<std::uintptr_t>(&local));
}

TEST(ErrorCode, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  const auto last = static_cast<int>(ErrorCode::wrong_state);
  for (int code = 0; code <= last; ++code) names.insert(name_of(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(last) + 1);
  EXPECT_FALSE(names.contains("?"));
}

TEST(AccessSet, ContainsOnlyItsMembers) {
  constexpr AccessSet kSet{Access::write, Access::execute};
  static_assert(kSet.contains(Access::write) && kSet.contains(Access::execute));
  static_assert(!kSet.contains(Access::read) && !kSet.contains(Access::read_write));
  EXPECT_EQ(name_of(Access::read_write), "rw");
}

}  // namespace
}  // namespace trapline
