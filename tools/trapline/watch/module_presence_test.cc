#include "tools/trapline/watch/module_presence.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace trapline::command {
namespace {

using linux_port::Mapping;

constexpr RemoteAddress kModuleStart{0x7f0000000000};
constexpr RemoteAddress kInData{0x7f0000004010};
constexpr RemoteAddress kInBss{0x7f0000005010};

std::vector<Mapping> parse(std::string_view text) {
  const auto mappings = linux_port::parse_maps(text);
  EXPECT_TRUE(mappings.has_value());
  return mappings.value_or(std::vector<Mapping>{});
}

const std::string program = "00400000-00401000 r-xp 00000000 fe:00 100 /bin/app\n";

// As the kernel shows a library just mapped: code, then data with its .bss.
const std::string library =
    "7f0000000000-7f0000003000 r-xp 00000000 fe:00 812 /lib/plugin.so\n"
    "7f0000003000-7f0000005000 rw-p 00002000 fe:00 812 /lib/plugin.so\n"
    "7f0000005000-7f0000006000 rw-p 00000000 00:00 0\n";

ModulePresence presence_of(RemoteAddress address) {
  return {parse(program + library), kModuleStart, address};
}

TEST(ModulePresence, LibraryThatStaysHolds) {
  EXPECT_TRUE(presence_of(kInData).holds_in(parse(program + library)));
  EXPECT_TRUE(presence_of(kInBss).holds_in(parse(program + library)));
}

TEST(ModulePresence, SplitMappingsOfALoadedLibraryHold) {
  const auto split = parse(program +
                           "7f0000000000-7f0000001000 r--p 00000000 fe:00 812 /lib/plugin.so\n"
                           "7f0000001000-7f0000003000 r-xp 00001000 fe:00 812 /lib/plugin.so\n"
                           "7f0000003000-7f0000004000 r--p 00002000 fe:00 812 /lib/plugin.so\n"
                           "7f0000004000-7f0000005000 rw-p 00003000 fe:00 812 /lib/plugin.so\n"
                           "7f0000005000-7f0000009000 rw-p 00000000 00:00 0\n");
  EXPECT_TRUE(presence_of(kInData).holds_in(split));
  EXPECT_TRUE(presence_of(kInBss).holds_in(split));
}

TEST(ModulePresence, DeletedOrRenamedFileHolds) {
  std::string deleted = library;
  for (std::size_t at = 0; (at = deleted.find("plugin.so\n", at)) != std::string::npos; ++at)
    deleted.insert(at + std::string_view("plugin.so").size(), " (deleted)");
  EXPECT_TRUE(presence_of(kInData).holds_in(parse(program + deleted)));
  std::string renamed = library;
  for (std::size_t at = 0; (at = renamed.find("plugin", at)) != std::string::npos;)
    renamed.replace(at, std::string_view("plugin").size(), "former");
  EXPECT_TRUE(presence_of(kInData).holds_in(parse(program + renamed)));
}

TEST(ModulePresence, UnmappedLibraryIsGone) {
  EXPECT_FALSE(presence_of(kInData).holds_in(parse(program)));
}

TEST(ModulePresence, LibraryWithOtherMemoryInItsPlaceIsGone) {
  const auto anonymous = parse(program + "7f0000000000-7f0000009000 rw-p 00000000 00:00 0\n");
  EXPECT_FALSE(presence_of(kInData).holds_in(anonymous));
  EXPECT_FALSE(presence_of(kInBss).holds_in(anonymous));
  const auto only_over_data = parse(program + "7f0000003000-7f0000009000 rw-p 00000000 00:00 0\n");
  EXPECT_FALSE(presence_of(kInData).holds_in(only_over_data));
}

TEST(ModulePresence, AnotherFileInItsPlaceIsNotTheLibrary) {
  EXPECT_FALSE(presence_of(kInData).holds_in(
      parse(program + "7f0000000000-7f0000009000 rw-p 00000000 fe:00 813 /lib/other.so\n")));
  EXPECT_FALSE(presence_of(kInData).holds_in(
      parse(program + "7f0000000000-7f0000009000 rw-p 00001000 fe:00 812 /lib/plugin.so\n")))
      << "the same file, mapped elsewhere";
}

TEST(ModulePresence, ModuleWithoutAFileHoldsWhileItsAddressIsMapped) {
  constexpr RemoteAddress kVdso{0x7ffc00000000};
  const auto with_vdso =
      parse(program + "7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0 [vdso]\n");
  const ModulePresence vdso(with_vdso, kVdso, kVdso);
  EXPECT_TRUE(vdso.holds_in(with_vdso));
  EXPECT_FALSE(vdso.holds_in(parse(program)));
}

}  // namespace
}  // namespace trapline::command
