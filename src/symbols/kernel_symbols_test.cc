#include "symbols/kernel_symbols.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace trapline::symbols {
namespace {

constexpr std::string_view kText =
    "ffffffff81000000 T _stext\n"
    "ffffffff81000100 t do_write\n"
    "ffffffff81000100 T do_write_alias\n"
    "ffffffff81000200 D jiffies\n"
    "ffffffffc0401000 t ext4_write\t[ext4]\n"
    "ffffffffc0401040 t ext4_read\t[ext4]\n"
    "ffffffffc0501000 t xfs_write\t[xfs]\n";

TEST(KallsymsLine, IsTakenApart) {
  const auto line = parse_kallsyms_line("ffffffffc0401000 t ext4_write\t[ext4]");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->address, 0xffffffffc0401000U);
  EXPECT_EQ(line->type, 't');
  EXPECT_EQ(line->name, "ext4_write");
  EXPECT_EQ(line->module, "[ext4]");
}

TEST(KallsymsLine, OtherFormsAreRefused) {
  for (const std::string_view line :
       {"", "ffff", "ffff T", "ffff T ", "xyz T name", "ffff TT name", "ffff T\tname",
        "ffff T \t[m]", "ffff T name\tm", "fffffffffffffffff T name"}) {
    EXPECT_FALSE(parse_kallsyms_line(line).has_value()) << line;
  }
}

TEST(KernelSymbols, AddressInsideAFunctionHasItsNameAndOffset) {
  const KernelSymbols symbols(kText);
  const auto found = symbols.find(RemoteAddress(0xffffffff81000110));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->name, "do_write");
  EXPECT_EQ(found->module, "");
  EXPECT_EQ(found->offset, 0x10U);
}

TEST(KernelSymbols, ModulesAreNamed) {
  const KernelSymbols symbols(kText);
  EXPECT_EQ(symbols.find(RemoteAddress(0xffffffffc0401041))->name, "ext4_read");
  EXPECT_EQ(symbols.find(RemoteAddress(0xffffffffc0401041))->module, "[ext4]");
  EXPECT_EQ(symbols.find(RemoteAddress(0xffffffffc0501000))->module, "[xfs]");
}

TEST(KernelSymbols, DataAndFarAddressesAreNoFunction) {
  const KernelSymbols symbols(kText);
  EXPECT_FALSE(symbols.find(RemoteAddress(0xffffffff81000200)).has_value()) << "data";
  EXPECT_FALSE(symbols.find(RemoteAddress(0xffffffff80ffffff)).has_value()) << "before all";
  EXPECT_FALSE(symbols.find(RemoteAddress(0xffffffffffffffff)).has_value()) << "far behind all";
}

TEST(KernelSymbols, HiddenAddressesMeanNone) {
  EXPECT_TRUE(KernelSymbols("0000000000000000 T _stext\n0000000000000000 t foo\n").empty());
  EXPECT_TRUE(KernelSymbols("").empty());
}

TEST(KernelSymbols, DamagedLinesArePassedOver) {
  const KernelSymbols symbols(
      "garbage\n\nffffffff81000000 T first\nffffffff8100\n"
      "ffffffff81000040 T second");
  EXPECT_EQ(symbols.find(RemoteAddress(0xffffffff81000000))->name, "first");
  EXPECT_EQ(symbols.find(RemoteAddress(0xffffffff81000041))->name, "second");
}

TEST(KernelSymbols, TheRunningKernelsAreReadAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may read kernel addresses";
  const KernelSymbols symbols = KernelSymbols::load();
  ASSERT_FALSE(symbols.empty());
  EXPECT_FALSE(symbols.find(RemoteAddress(0x7fff00000000)).has_value()) << "a user's address";
}

}  // namespace
}  // namespace trapline::symbols
