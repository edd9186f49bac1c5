// Types as the compilers write them, and names of addresses: on programs that run.
#include "symbols/dwarf_values.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "symbols/symbolizer.h"
#include "symbols/test_subject.h"

namespace trapline::symbols {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::string kind_letter(const ValueType& type) {
  switch (type.kind) {
    case ValueKind::bytes:
      return "bytes";
    case ValueKind::signed_integer:
      return "int";
    case ValueKind::unsigned_integer:
      return "uint";
    case ValueKind::boolean:
      return "bool";
    case ValueKind::character:
      return type.is_signed ? "char" : "uchar";
    case ValueKind::floating:
      return "float";
    case ValueKind::pointer:
      return "ptr";
    case ValueKind::enumeration:
      return type.is_signed ? "enum" : "uenum";
  }
  return "?";
}

// "int4", "{x@0 int2 y@2 int2}", "[3 int2]", "text[8]", "uenum4(red=0 green=1000)"; a bit-field
// with its bits: "uint1:0+3".
std::string outline(const ValueType& type) {
  std::string text;
  if (type.is_text) return fmt::format("text[{}]", type.element_count);
  if (type.element_count > 0)
    return fmt::format("[{} {}]", type.element_count, outline(type.parts.front().type));
  for (const ValuePart& part : type.parts) {
    text += fmt::format("{}{}@{} {}", text.empty() ? "" : " ", part.name, part.offset.value,
                        outline(part.type));
  }
  if (!text.empty()) return "{" + text + "}";
  text = fmt::format("{}{}", kind_letter(type), type.length.value);
  if (type.bits) text += fmt::format(":{}+{}", type.bits->first, type.bits->count);
  if (type.enumerators.empty()) return text;
  std::string names;
  for (const Enumerator& enumerator : type.enumerators)
    names += fmt::format("{}{}={:#x}", names.empty() ? "" : " ", enumerator.name, enumerator.bits);
  return fmt::format("{}({})", text, names);
}

std::string outline_of(Subject& subject, const std::string& expression) {
  const auto object = subject.object(expression);
  return object ? outline(object->type) : object.error().message;
}

class ValueTypeOnVariant : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Builds, ValueTypeOnVariant, ::testing::ValuesIn(variants()),
                         [](const auto& param) { return param.param; });

TEST_P(ValueTypeOnVariant, EnumeratorsAreAsWideAsTheirType) {
  Subject subject(GetParam());
  EXPECT_EQ(outline_of(subject, "colour"), "uenum4(red=0x0 green=0x3e8)");
  EXPECT_EQ(outline_of(subject, "rights"),
            "uenum4(MAY_READ=0x1 MAY_LOOK=0x1 MAY_WRITE=0x2 MAY_RUN=0x4 MAY_ALL=0x7)");
  // Through a typedef of a const volatile one.
  EXPECT_EQ(outline_of(subject, "balance"), "enum4(SETTLED=0x0 SAVED=0xff OVERDRAWN=0xffffffff)");
  EXPECT_EQ(outline_of(subject, "wide"), "uenum8(NARROW=0x1 HUGE=0x123456789ab)");
  EXPECT_EQ(outline_of(subject, "app::level"), "enum1(high=0x7f low=0x80)");
  EXPECT_EQ(outline_of(subject, "app::tagged.mask"), "uenum1(none=0x0 bit0=0x1 bit7=0x80)");
}

TEST_P(ValueTypeOnVariant, MembersElementsAndBaseClassesAreWhereTheyLie) {
  Subject subject(GetParam());
  EXPECT_EQ(outline_of(subject, "pair"), "{x@0 int2 y@2 int2}");
  EXPECT_EQ(outline_of(subject, "grid"), "[3 [5 int2]]");
  EXPECT_EQ(outline_of(subject, "grid[2]"), "[5 int2]");
  EXPECT_EQ(outline_of(subject, "settings"),
            "{colour@0 uenum4(red=0x0 green=0x3e8) low@4 uint1:0+3 delta@4 int1:3+5 "
            "may@5 uenum1:0+4(MAY_READ=0x1 MAY_LOOK=0x1 MAY_WRITE=0x2 MAY_RUN=0x4 MAY_ALL=0x7) "
            "is_set@5 bool1:4+1 label@6 text[3]}");
  EXPECT_EQ(outline_of(subject, "holder"),
            "{pairs@0 [2 [3 {x@0 int2 y@2 int2}]] @24 {target@0 ptr8 raw@0 [8 uchar1]} "
            "handler@32 ptr8 hidden@40 ptr8 numbers@48 [2 char1]}");
  EXPECT_EQ(outline_of(subject, "cfg"),
            "{mode@0 int4 low@4 uint1:0+3 high@4 uint2:3+9 @8 {inner@0 int4} "
            "value@12 {as_float@0 float4 as_int@0 int4} bytes@16 [16 uchar1]}");
  EXPECT_EQ(outline_of(subject, "app::derived"),
            "{@0 {base_member@0 int4} @4 {other_member@0 int4} own@8 int4}");
  // An empty base class has no bytes that mean something.
  EXPECT_EQ(outline_of(subject, "app::tagged"),
            "{@0 {base_member@0 int4} level@4 enum1(high=0x7f low=0x80) "
            "mask@5 uenum1(none=0x0 bit0=0x1 bit7=0x80)}");
}

TEST_P(ValueTypeOnVariant, AClassThatWrapsOneScalarIsThatScalar) {
  Subject subject(GetParam());
  EXPECT_EQ(outline_of(subject, "app::atomic_int"), "int4");
  EXPECT_EQ(outline_of(subject, "app::owner"), "ptr8");   // std::unique_ptr
  EXPECT_EQ(outline_of(subject, "app::widget"), "ptr8");  // to its virtual functions
}

TEST_P(ValueTypeOnVariant, ABitFieldIsWatchedByTheBytesItLiesIn) {
  Subject subject(GetParam());
  const auto high = subject.object("cfg.high");
  ASSERT_TRUE(high) << high.error().message;
  EXPECT_EQ(high->address.value(), subject.program().address_of("cfg") + 4);
  EXPECT_EQ(high->length, ByteCount{2});
  EXPECT_EQ(high->type.length, ByteCount{2});
  EXPECT_EQ(high->type.bits, (BitRange{3, 9}));
  EXPECT_EQ(high->type.name, "unsigned int : 9");
  EXPECT_THAT(high->notes, Contains(HasSubstr("neighbours in the same 2 bytes")));
  const auto delta = subject.object("settings.delta");
  ASSERT_TRUE(delta) << delta.error().message;
  EXPECT_EQ(delta->address.value(), subject.program().address_of("settings") + 4);
  EXPECT_EQ(delta->length, ByteCount{1});
  EXPECT_TRUE(delta->type.is_signed);
  EXPECT_EQ(delta->type.bits, (BitRange{3, 5}));
}

TEST(ValueTypes, ABitFieldThatNoValueHoldsIsRefused) {
  Subject subject("gcc_dwarf5");
  EXPECT_THAT(subject.object_error("crossing.second"),
              HasSubstr("bad_type: crossing.second is a bit-field that lies in 9 bytes"));
}

TEST(ValueTypes, BitsAreExtractedWithTheirSign) {
  EXPECT_EQ(extract_bits(0b1011'0101, {0, 3}, false), 0b101U);
  EXPECT_EQ(extract_bits(0b1011'0101, {3, 5}, false), 0b10110U);
  EXPECT_EQ(extract_bits(0b1011'0101, {3, 5}, true), static_cast<std::uint64_t>(-10));
  EXPECT_EQ(extract_bits(~std::uint64_t{0}, {0, 64}, false), ~std::uint64_t{0});
  EXPECT_EQ(extract_bits(std::uint64_t{1} << 63, {63, 1}, true), ~std::uint64_t{0});
  EXPECT_EQ(extract_bits(std::uint64_t{1} << 63, {63, 1}, false), 1U);
}

// The symbol and offset at an address, as "table+16"; "" if there is none.
std::string name_at(Symbolizer& symbolizer, std::uint64_t address) {
  const auto name = symbolizer.name_at(RemoteAddress(address));
  return name ? fmt::format("{}+{}", name->symbol, name->offset) : std::string();
}

class AddressNamesOnVariant : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Builds, AddressNamesOnVariant,
                         ::testing::Values("gcc_dwarf5", "gcc_dwarf4", "gcc_no_debug", "separate"),
                         [](const auto& param) { return param.param; });

TEST_P(AddressNamesOnVariant, VariablesAndFunctionsHaveTheirOwnBytesOnly) {
  const Program program(program_path(GetParam()));
  const auto image = ProcessImage::open(program.pid());
  ASSERT_TRUE(image) << image.error().message;
  Symbolizer symbolizer(**image);
  const auto name_of = [&](const std::string& expression, std::uint64_t offset) {
    return name_at(symbolizer, program.address_of(expression) + offset);
  };
  EXPECT_EQ(name_of("grid", 0), "grid+0");
  EXPECT_EQ(name_of("grid", 29), "grid+29");
  EXPECT_NE(name_of("grid", 30), "grid+30");
  EXPECT_EQ(name_of("count_calls", 4), "count_calls+4");
  EXPECT_EQ(name_of("count_calls::calls", 0), "calls+0");
  EXPECT_EQ(name_of("app::in_namespace", 1), "app::in_namespace+1");
  EXPECT_EQ(name_of("app::overloaded(int)", 0), "app::overloaded(int)+0");
  // A library's static, and its variable that the program has a copy of.
  EXPECT_EQ(name_of("library_static", 0), "library_static+0");
  EXPECT_EQ(name_of("shared_counter", 0), "shared_counter+0");
  // What an object of a class with virtual functions points to.
  const auto table = program.read<std::uint64_t>(RemoteAddress(program.address_of("app::widget")));
  ASSERT_TRUE(table);
  EXPECT_EQ(name_at(symbolizer, *table), "vtable for app::Widget+16");
  // Asked again, out of what is kept; and after all is forgotten.
  EXPECT_EQ(name_of("grid", 2), "grid+2");
  symbolizer.clear();
  EXPECT_EQ(name_of("grid", 4), "grid+4");
}

TEST(AddressNames, HeapAndNullBelongToNobody) {
  const Program program(program_path("gcc_dwarf5"));
  const auto image = ProcessImage::open(program.pid());
  ASSERT_TRUE(image) << image.error().message;
  Symbolizer symbolizer(**image);
  EXPECT_EQ(name_at(symbolizer, 0), "");
  EXPECT_EQ(name_at(symbolizer, program.address_of("numbers[7]")), "");
}

}  // namespace
}  // namespace trapline::symbols
