#include "report/object_parts.h"

#include <gtest/gtest.h>

#include <string>

#include "report/test_support.h"

namespace trapline::report {
namespace {

using symbols::ValueType;

std::string path(const ValueType& type, std::uint64_t offset, std::uint64_t length) {
  return find_part(type, ByteCount{offset}, ByteCount{length}).path;
}

// struct { struct {int x, y;} pos; union { float f; int i; }; struct {short a; char b[2]} v[3]; }
ValueType sample() {
  const ValueType position =
      structure_type(8, {{"x", {}, number_type(4)}, {"y", ByteCount{4}, number_type(4)}});
  const ValueType either =
      structure_type(4, {{"f", {}, number_type(4)}, {"i", {}, number_type(4)}});
  const ValueType element = structure_type(
      4, {{"a", {}, number_type(2)}, {"b", ByteCount{2}, array_type(2, number_type(1))}});
  return structure_type(24, {{"pos", {}, position},
                             {"", ByteCount{8}, either},
                             {"v", ByteCount{12}, array_type(3, element)}});
}

TEST(ObjectParts, InnermostPartThatHasAllBytesIsNamed) {
  const ValueType type = sample();
  EXPECT_EQ(path(type, 0, 8), ".pos");
  EXPECT_EQ(path(type, 4, 4), ".pos.y");
  EXPECT_EQ(path(type, 5, 1), ".pos.y");
  EXPECT_EQ(path(type, 2, 4), ".pos");
  EXPECT_EQ(path(type, 12, 12), ".v");
  EXPECT_EQ(path(type, 16, 2), ".v[1].a");
  EXPECT_EQ(path(type, 23, 1), ".v[2].b[1]");
  EXPECT_EQ(path(type, 18, 4), ".v") << "across two elements";
}

TEST(ObjectParts, BytesOfSeveralMembersAreOfTheWhole) {
  EXPECT_EQ(path(sample(), 4, 8), "");
  EXPECT_EQ(path(sample(), 0, 24), "");
  EXPECT_EQ(path(number_type(4), 0, 2), "");
}

TEST(ObjectParts, OfAUnionNoMemberIsGuessed) {
  // The union has no name, and is the struct's own: nothing to name.
  EXPECT_EQ(path(sample(), 8, 4), "");
  const ValueType either = structure_type(
      8, {{"raw", {}, array_type(8, number_type(1))}, {"first", {}, number_type(4)}});
  const ValueType type = structure_type(12, {{"value", ByteCount{4}, either}});
  EXPECT_EQ(path(type, 4, 4), ".value");
  EXPECT_EQ(path(type, 9, 1), ".value.raw[5]") << "only one of them is that long";
}

TEST(ObjectParts, PlaceAndTypeOfThePartAreTold) {
  const ValueType type = sample();
  const ObjectPart part = find_part(type, ByteCount{20}, ByteCount{2});
  EXPECT_EQ(part.offset, ByteCount{20});
  EXPECT_EQ(part.type->length, ByteCount{2});
  const ObjectPart whole = find_part(type, ByteCount{0}, ByteCount{24});
  EXPECT_EQ(whole.offset, ByteCount{0});
  EXPECT_EQ(whole.type, &type);
}

TEST(ObjectParts, BitFieldsShareTheirBytes) {
  ValueType low{symbols::ValueKind::unsigned_integer, ByteCount{1}, "", false};
  low.bits = symbols::BitRange{0, 3};
  ValueType high{symbols::ValueKind::unsigned_integer, ByteCount{2}, "", false};
  high.bits = symbols::BitRange{3, 13};
  const ValueType type = structure_type(
      4, {{"low", {}, low}, {"high", {}, high}, {"mode", ByteCount{2}, number_type(2)}});
  EXPECT_EQ(path(type, 0, 1), "");
  EXPECT_EQ(path(type, 1, 1), ".high") << "that byte is all its own";
  EXPECT_EQ(path(type, 2, 2), ".mode");
}

TEST(ObjectParts, LongArraysAreNotWalked) {
  EXPECT_EQ(path(array_type(1'000'000'000'000, number_type(4)), 4'000'000'000, 4), "[1000000000]");
  EXPECT_EQ(path(array_type(2, number_type(4)), 8, 4), "");
}

TEST(ObjectParts, PartIsNamedAsWhatNamesTheObject) {
  EXPECT_EQ(name_part("cfg", ".mode"), "cfg.mode");
  EXPECT_EQ(name_part("file.c:table[3]", ".len"), "file.c:table[3].len");
  EXPECT_EQ(name_part("p->next", "[2]"), "p->next[2]");
  EXPECT_EQ(name_part("*p", ".mode"), "p->mode");
  EXPECT_EQ(name_part(" * p.next", ".pos.x"), "p.next->pos.x");
  EXPECT_EQ(name_part("**p", ".mode"), "(*p)->mode");
  EXPECT_EQ(name_part("*p", "[2]"), "(*p)[2]");
  EXPECT_EQ(name_part("cfg", ""), "");
}

}  // namespace
}  // namespace trapline::report
