#include "report/typed_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>

#include "report/test_support.h"

namespace trapline::report {
namespace {

using symbols::ValueKind;
using symbols::ValuePart;
using symbols::ValueType;

struct Told {
  std::string text;
  bool says_more = false;

  friend bool operator==(const Told&, const Told&) = default;
  friend void PrintTo(const Told& told, std::ostream* out) {
    *out << told.text << (told.says_more ? " (says more)" : "");
  }
};

Told part_text(std::uint64_t bits, const KnownRange& known, const ValueType& type,
               std::uint64_t offset, symbols::AddressNames* names = nullptr) {
  fmt::memory_buffer buffer;
  const bool says_more =
      append_typed_text(buffer, {bits, Certainty::exact}, known, type, ByteCount{offset}, names);
  return {fmt::to_string(buffer), says_more};
}

Told text(std::uint64_t bits, const ValueType& type, symbols::AddressNames* names = nullptr) {
  return part_text(bits, {{}, type.length}, type, 0, names);
}

TEST(TypedText, NumbersSayNoMoreThanTheyAre) {
  EXPECT_EQ(text(41, number_type(4)), (Told{"41", false}));
}

TEST(TypedText, EnumeratorIsANameAndAnUnknownValueANumber) {
  const ValueType type = enumeration_type(4, {{"red", 0}, {"green", 1000}});
  EXPECT_EQ(text(1000, type), (Told{"green", true}));
  EXPECT_EQ(text(7, type), (Told{"7", false}));
  // What lies beyond the enumeration is not looked at.
  EXPECT_EQ(text(0xdead'0000'03e8, type), (Told{"green", true}));
  ValueType balance = enumeration_type(4, {{"settled", 0}, {"overdrawn", 0xffff'ffff}});
  balance.is_signed = true;
  EXPECT_EQ(text(0xffff'ffff, balance), (Told{"overdrawn", true}));
  EXPECT_EQ(text(0xffff'fffe, balance), (Told{"-2", false}));
}

TEST(TypedText, PointerIsFollowedByWhatItPointsTo) {
  FakeNames names;
  names.add(0x404010, 64, "table");
  const ValueType type = pointer_type();
  EXPECT_EQ(text(0x404010, type, &names), (Told{"0x404010 <table>", true}));
  EXPECT_EQ(text(0x404020, type, &names), (Told{"0x404020 <table+16>", true}));
  EXPECT_EQ(text(0x404050, type, &names), (Told{"0x404050", false}));
  EXPECT_EQ(text(0x404010, type), (Told{"0x404010", false}));
}

TEST(TypedText, OnlyPointersAreLookedUp) {
  FakeNames names;
  names.add(0, 1 << 20, "low");
  EXPECT_EQ(text(41, number_type(8), &names), (Told{"41", false}));
  EXPECT_EQ(names.questions(), 0);
}

TEST(TypedText, StructListsItsMembers) {
  const ValueType type = structure_type(8, {{"x", {}, number_type(4)},
                                            {"y", ByteCount{4}, number_type(2)},
                                            {"flag", ByteCount{6}, number_type(1)}});
  EXPECT_EQ(text(0x00'05'fffe'00000001, type), (Told{"{x = 1, y = -2, flag = 5}", true}));
}

TEST(TypedText, MembersOfBaseClassesAndAnonymousMembersAreTheObjectsOwn) {
  const ValueType base = structure_type(4, {{"base", {}, number_type(4)}});
  const ValueType inner =
      structure_type(2, {{"a", {}, number_type(1)}, {"b", ByteCount{1}, number_type(1)}});
  const ValueType type = structure_type(
      8, {{"", {}, base}, {"", ByteCount{4}, inner}, {"named", ByteCount{6}, inner}});
  EXPECT_EQ(text(0x0605'0403'00000002, type),
            (Told{"{base = 2, a = 3, b = 4, named = {a = 5, b = 6}}", true}));
}

TEST(TypedText, UnionListsAllThatItCanBe) {
  const ValueType type =
      structure_type(4, {{"as_float", {}, {ValueKind::floating, ByteCount{4}, "", false}},
                         {"as_int", {}, number_type(4)}});
  EXPECT_EQ(text(std::bit_cast<std::uint32_t>(2.5F), type),
            (Told{"{as_float = 2.5, as_int = 1075838976}", true}));
}

TEST(TypedText, BitFieldsAreExtracted) {
  ValueType low{ValueKind::unsigned_integer, ByteCount{1}, "", false};
  low.bits = symbols::BitRange{0, 3};
  ValueType delta{ValueKind::signed_integer, ByteCount{1}, "", true};
  delta.bits = symbols::BitRange{3, 5};
  ValueType may = enumeration_type(1, {{"READ", 1}, {"WRITE", 2}});
  may.bits = symbols::BitRange{0, 2};
  const ValueType type =
      structure_type(4, {{"low", {}, low}, {"delta", {}, delta}, {"may", ByteCount{1}, may}});
  EXPECT_EQ(text(0b11'10110'101, type), (Told{"{low = 5, delta = -10, may = READ|WRITE}", true}));
}

TEST(TypedText, ArrayListsItsElements) {
  EXPECT_EQ(text(0x0003'fffe'0001, array_type(3, number_type(2))), (Told{"[1, -2, 3]", true}));
  EXPECT_EQ(text(0x04030201, array_type(2, array_type(2, number_type(1)))),
            (Told{"[[1, 2], [3, 4]]", true}));
  FakeNames names;
  names.add(0x1000, 1, "bump");
  EXPECT_EQ(text(0x1000, array_type(1, pointer_type()), &names), (Told{"[0x1000 <bump>]", true}));
}

TEST(TypedText, CharactersAreAQuotedString) {
  ValueType type = array_type(8, number_type(1));
  type.is_text = true;
  EXPECT_EQ(text(0x7465'7070'7570, type), (Told{R"("puppet")", true}));
  EXPECT_EQ(text(0, type), (Told{R"("")", true}));
  EXPECT_EQ(text(0xff'0a'5c'22'62'00'61, type), (Told{R"("a\0b\"\\\n\xff")", true}));
}

TEST(TypedText, OnlyWhatIsKnownOfALongObjectIsListed) {
  const ValueType type = structure_type(16, {{"a", {}, number_type(4)},
                                             {"b", ByteCount{4}, number_type(4)},
                                             {"c", ByteCount{8}, number_type(4)},
                                             {"d", ByteCount{12}, number_type(4)}});
  const KnownRange second_half{ByteCount{8}, ByteCount{8}};
  EXPECT_EQ(part_text(0x4'0000'0003, second_half, type, 0), (Told{"{c = 3, d = 4}", true}));
  // A slot that ends within a member.
  EXPECT_EQ(part_text(0x3, {ByteCount{8}, ByteCount{6}}, type, 0), (Told{"{c = 3, d = ?}", true}));
  EXPECT_EQ(part_text(0x4'0000'0003, second_half, number_type(4), 12), (Told{"4", false}));
}

TEST(TypedText, OnlyTheKnownElementsOfALongArrayAreListed) {
  EXPECT_EQ(part_text(0x8'0000'0007, {ByteCount{24}, ByteCount{8}},
                      array_type(1'000'000'000, number_type(4)), 0),
            (Told{"[7, 8]", true}));
  ValueType name = array_type(64, number_type(1));
  name.is_text = true;
  EXPECT_EQ(part_text(0x0000'6c69, {ByteCount{8}, ByteCount{4}}, name, 0), (Told{R"("il")", true}));
}

TEST(TypedText, PaddingIsBytes) {
  const ValueType type =
      structure_type(16, {{"a", {}, number_type(4)}, {"b", ByteCount{8}, structure_type(8, {})}});
  EXPECT_EQ(part_text(0x2211, {ByteCount{4}, ByteCount{2}}, type, 0), (Told{"11 22", false}));
}

}  // namespace
}  // namespace trapline::report
