#include "symbols/kernel_variables.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "symbols/kernel_symbols.h"

namespace trapline::symbols {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Lines of Debian's System.map-6.1.0-56-cloud-amd64 (linux-image-6.1.0-56-cloud-amd64-dbg
// 6.1.192-2), in its order.
constexpr std::string_view kDebianMap =
    "0000000000000000 D __per_cpu_start\n"
    "000000000001fb80 D current_task\n"
    "000000000001fb88 D x86_spec_ctrl_current\n"
    "0000000000034000 D __per_cpu_end\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 T _text\n"
    "ffffffff81049980 t c_start\n"
    "ffffffff8109a720 T do_exit\n"
    "ffffffff8134d3d0 T vfs_write\n"
    "ffffffff813f5b40 t c_start\n"
    "ffffffff81e01ef2 T _etext\n"
    "ffffffff82a07980 D mod_tree\n"
    "ffffffff82a079c0 D jiffies\n"
    "ffffffff82a079c0 D jiffies_64\n"
    "ffffffff82a07a00 D jiffies_seq\n"
    "ffffffff82a1aa40 D init_task\n"
    "ffffffff82a1d040 d init_sighand\n"
    "ffffffff8301a000 D __init_begin\n"
    "ffffffff830f9180 d root_device_name\n"
    "ffffffff830f9188 D phys_initrd_size\n"
    "ffffffff831c4384 d debug\n"
    "ffffffff831c4388 d exclusive\n"
    "ffffffff832a7000 R __init_end\n"
    "ffffffff832ee7d8 B nr_threads\n"
    "ffffffff832ee7e0 B total_forks\n"
    "ffffffff832ee7e8 b __key.254\n"
    "ffffffff832ee848 B panic_timeout\n"
    "ffffffff832ee84c B panic_on_taint_nousertaint\n"
    "ffffffff833eddf5 b debug\n"
    "ffffffff833eddf6 b debug_acpi\n"
    "ffffffff83830000 B _end\n";
constexpr std::uint64_t kRandomShift = 0x1b000000;

// What a kernel with that map shows when KASLR has moved it.
std::string kallsyms_of(std::string_view map, const std::function<bool(const KallsymsLine&)>& has) {
  std::string text;
  while (!map.empty()) {
    const std::size_t newline = map.find('\n');
    const auto line = parse_kallsyms_line(map.substr(0, newline));
    map.remove_prefix(newline + 1);
    if (!line || !has(*line)) continue;
    // Per-CPU offsets are neither moved nor of a section (CONFIG_KALLSYMS_ABSOLUTE_PERCPU).
    const bool is_offset = line->address < 0x1000000;
    text += fmt::format("{:016x} {} {}\n", line->address + (is_offset ? 0 : kRandomShift),
                        is_offset ? 'A' : line->type, line->name);
  }
  return text;
}

std::string full_kallsyms() {
  return kallsyms_of(kDebianMap, [](const KallsymsLine&) { return true; });
}

// CONFIG_KALLSYMS_ALL is not set. The linker's marks of sections are listed all the same (seen on
// 6.18).
std::string short_kallsyms() {
  return kallsyms_of(kDebianMap,
                     [](const KallsymsLine& line) {
                       return line.address != 0 && (line.type == 't' || line.type == 'T');
                     }) +
         "ffffffff9e000000 D __start_rodata\n";
}

// Files for one test.
class KernelVariables : public ::testing::Test {
 protected:
  KernelVariables() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kernel-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    files_.kallsyms = folder_ / "kallsyms";
    files_.kptr_restrict = folder_ / "kptr_restrict";
    files_.release = "6.1.0-56-cloud-amd64";
    files_.system_maps = {folder_ / "boot", folder_ / "debug"};
  }
  ~KernelVariables() override { std::filesystem::remove_all(folder_); }

  static void write(const std::filesystem::path& path, std::string_view text) {
    std::ofstream(path) << text;
  }
  void write_kallsyms(std::string_view text) const { write(files_.kallsyms, text); }

  [[nodiscard]] KernelVariable variable(std::string_view name) const {
    const auto found = find_kernel_variable(name, files_);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(KernelVariable{});
  }
  [[nodiscard]] std::string variable_error(std::string_view name) const {
    const auto found = find_kernel_variable(name, files_);
    return found ? ""
                 : std::string(name_of(found.error().error.code)) + ": " + found.error().message;
  }
  [[nodiscard]] std::string function_error(std::string_view name) const {
    const auto found = find_kernel_function(name, files_);
    return found ? ""
                 : std::string(name_of(found.error().error.code)) + ": " + found.error().message;
  }

  std::filesystem::path folder_;
  KernelSymbolFiles files_;
};

TEST_F(KernelVariables, ASmallGapToTheNextSymbolIsTheLength) {
  write_kallsyms(full_kallsyms());
  const auto forks = variable("total_forks");
  EXPECT_EQ(forks.address.value(), 0xffffffff832ee7e0 + kRandomShift);
  EXPECT_TRUE(forks.length_known);
  EXPECT_EQ(forks.length.value, 8U);
  EXPECT_THAT(forks.notes, ElementsAre(HasSubstr("8 bytes to the next symbol")));
  EXPECT_EQ(variable("panic_timeout").length.value, 4U);
}

TEST_F(KernelVariables, ALargeGapLeavesTheLengthOpen) {
  write_kallsyms(full_kallsyms());
  const auto task = variable("init_task");
  EXPECT_FALSE(task.length_known);
  EXPECT_EQ(task.length.value, 0U);
  EXPECT_THAT(task.notes, ElementsAre(HasSubstr("9728 bytes")));
  EXPECT_FALSE(variable("_end").length_known) << "nothing follows it";
}

// It fills a cache line: 64 bytes to the next symbol.
TEST_F(KernelVariables, JiffiesIsAMachineWordAndHasAnAlias) {
  write_kallsyms(full_kallsyms());
  const auto jiffies = variable("jiffies");
  EXPECT_TRUE(jiffies.length_known);
  EXPECT_EQ(jiffies.length.value, sizeof(long));
  EXPECT_EQ(jiffies.address, variable("jiffies_64").address);
  EXPECT_EQ(variable("jiffies_64").length.value, 8U);
}

TEST_F(KernelVariables, TheNextSymbolMayBeListedBefore) {
  write_kallsyms(
      "ffffffff81000000 T _text\n"
      "ffffffffc0500004 d second\t[one]\n"
      "ffffffffc0500000 d first\t[one]\n"
      "ffffffff82000000 d other\n");
  const auto first = variable("first");
  EXPECT_EQ(first.length.value, 4U);
  EXPECT_THAT(first.notes, ElementsAre("first is of the module one", HasSubstr("4 bytes")));
}

TEST_F(KernelVariables, MemoryThatIsGivenBackAfterTheStartIsNoted) {
  write_kallsyms(full_kallsyms());
  EXPECT_THAT(variable("root_device_name").notes,
              ElementsAre(HasSubstr("for the start of the kernel only"), HasSubstr("8 bytes")));
}

TEST_F(KernelVariables, PerCpuVariablesHaveNoSingleAddress) {
  write_kallsyms(full_kallsyms());
  EXPECT_THAT(variable_error("current_task"),
              AllOf(HasSubstr("bad_type: current_task is a per-CPU variable"),
                    HasSubstr("'*0xADDR:LENGTH'")));
  // As arm64 has them, and x86 from 6.15 on: in a section of the kernel.
  write_kallsyms(
      "ffff800008000000 T _text\n"
      "ffff800009000000 D __per_cpu_start\n"
      "ffff800009000100 d runqueues\n"
      "ffff800009008000 D __per_cpu_end\n"
      "ffff800009008000 d behind\n"
      "ffff80000900a000 d per_cpu_of_module\t[m]\n"
      "ffff80000a000000 B _end\n"
      "ffff800001000000 d plain_of_module\t[m]\n"
      "0000000000002000 d low_of_module\t[m]\n");
  for (const char* const name : {"runqueues", "per_cpu_of_module", "low_of_module"})
    EXPECT_THAT(variable_error(name), HasSubstr("per-CPU")) << name;
  EXPECT_EQ(variable("behind").address.value(), 0xffff800009008000U);
  EXPECT_EQ(variable("plain_of_module").address.value(), 0xffff800001000000U) << "below the text";
}

TEST_F(KernelVariables, SeveralOfOneNameAreListedByAddress) {
  write_kallsyms(full_kallsyms() + "ffffffffc0401000 b debug\t[ext4]\n");
  EXPECT_EQ(variable_error("debug"),
            "ambiguous_name: the kernel has 3 variables called debug; say which by its address: "
            "'*0xffffffff9e1c4384:4', '*0xffffffff9e3eddf5:1', '*0xffffffffc0401000:LENGTH' of the "
            "module ext4");
}

TEST_F(KernelVariables, AFunctionAndAMisspeltNameGetTheirOwnSentences) {
  write_kallsyms(full_kallsyms());
  EXPECT_EQ(variable_error("vfs_write"),
            "bad_type: vfs_write is a function: add -t x to see its calls");
  EXPECT_EQ(variable_error("jifies"),
            "unknown_name: the kernel has no variable called jifies; the nearest names are: "
            "jiffies");
  EXPECT_EQ(variable_error(""), "unknown_name: the kernel has no variable called ");
}

TEST_F(KernelVariables, HiddenAddressesNameTheSetting) {
  write_kallsyms("0000000000000000 A __per_cpu_start\n0000000000000000 T _text\n");
  write(files_.kptr_restrict, "2\n");
  EXPECT_THAT(variable_error("jiffies"),
              AllOf(HasSubstr("permission_denied"), HasSubstr("kernel.kptr_restrict is 2"),
                    HasSubstr("sysctl kernel.kptr_restrict=1")));
  write(files_.kptr_restrict, "1\n");
  EXPECT_THAT(function_error("do_exit"),
              AllOf(HasSubstr("permission_denied"), HasSubstr("CAP_SYSLOG"),
                    HasSubstr("kernel.kptr_restrict is 1. Run as root")));
  write(files_.kptr_restrict, "0\n");
  EXPECT_THAT(variable_error("jiffies"),
              AllOf(HasSubstr("CAP_SYSLOG. Run as root"), ::testing::Not(HasSubstr("kptr"))));
}

TEST_F(KernelVariables, NoSymbolsAtAllAreSaidSo) {
  EXPECT_THAT(variable_error("jiffies"), AllOf(HasSubstr("not_supported"), HasSubstr("KALLSYMS")));
  write_kallsyms("");
  EXPECT_THAT(function_error("do_exit"), HasSubstr("not_supported"));
}

TEST_F(KernelVariables, FunctionsAreFoundByTheirEntry) {
  write_kallsyms(full_kallsyms());
  const auto function = find_kernel_function("do_exit", files_);
  ASSERT_TRUE(function) << function.error().message;
  EXPECT_EQ(function->entry.value(), 0xffffffff8109a720 + kRandomShift);
  EXPECT_THAT(function->notes, IsEmpty());
  EXPECT_EQ(function_error("c_start"),
            "ambiguous_name: the kernel has 2 functions called c_start; say which by its address: "
            "'*0xffffffff9c049980', '*0xffffffff9c3f5b40'");
  EXPECT_EQ(function_error("jiffies"),
            "bad_type: jiffies is a variable, and -t x is for functions: use -t w, r or rw");
  EXPECT_THAT(function_error("vfs_wriet"), HasSubstr("nearest names are: vfs_write"));
}

TEST_F(KernelVariables, WhatKallsymsLacksTheSystemMapTells) {
  write_kallsyms(short_kallsyms());
  write(files_.system_maps[1], kDebianMap);
  const auto forks = variable("total_forks");
  EXPECT_EQ(forks.address.value(), 0xffffffff832ee7e0 + kRandomShift);
  EXPECT_EQ(forks.length.value, 8U);
  EXPECT_THAT(forks.notes,
              ElementsAre(AllOf(HasSubstr(files_.system_maps[1]), HasSubstr("0x1b000000")),
                          HasSubstr("8 bytes to the next symbol")));
  EXPECT_THAT(variable_error("current_task"), HasSubstr("per-CPU"));
  EXPECT_THAT(variable_error("debug"), HasSubstr("'*0xffffffff9e1c4384:4'"));
  EXPECT_THAT(variable_error("total_frks"), HasSubstr("nearest names are: total_forks"));
  EXPECT_THAT(variable_error("vfs_write"), HasSubstr("bad_type: vfs_write is a function"));
}

TEST_F(KernelVariables, AStubNamesThePackageToInstall) {
  write_kallsyms(short_kallsyms());
  // Debian 12's, and newer ones.
  for (const char* const version : {"<version>", "6.1.0-56-cloud-amd64"}) {
    write(files_.system_maps[0],
          fmt::format("ffffffffffffffff B The real System.map is in the linux-image-{}-dbg "
                      "package\n",
                      version));
    EXPECT_THAT(variable_error("total_forks"),
                AllOf(HasSubstr("not_supported"), HasSubstr("CONFIG_KALLSYMS_ALL"),
                      HasSubstr("package linux-image-6.1.0-56-cloud-amd64-dbg: install that")));
  }
  EXPECT_THAT(variable_error("vfs_write"), HasSubstr("is a function"));
  write(files_.system_maps[1], kDebianMap);
  EXPECT_EQ(variable("total_forks").address.value(), 0xffffffff832ee7e0 + kRandomShift);
}

TEST_F(KernelVariables, AMissingSystemMapIsSaidSo) {
  write_kallsyms(short_kallsyms());
  EXPECT_THAT(
      variable_error("total_forks"),
      AllOf(HasSubstr("not_supported"), HasSubstr("CONFIG_KALLSYMS_ALL"),
            HasSubstr("no System.map of 6.1.0-56-cloud-amd64"), HasSubstr(files_.system_maps[0])));
}

TEST_F(KernelVariables, AnotherKernelsSystemMapIsRefused) {
  write_kallsyms(short_kallsyms());
  std::string other(kDebianMap);
  const std::string etext = "ffffffff81e01ef2 T _etext";
  other.replace(other.find(etext), etext.size(), "ffffffff81e02ef2 T _etext");
  write(files_.system_maps[0], other);
  EXPECT_THAT(variable_error("total_forks"),
              AllOf(HasSubstr("not_supported"), HasSubstr("is not of the kernel that runs")));
  write(files_.system_maps[0], "damaged\n\n");
  EXPECT_THAT(variable_error("total_forks"), HasSubstr("is not of the kernel that runs"));
  write(files_.system_maps[1], kDebianMap);
  EXPECT_EQ(variable("total_forks").length.value, 8U) << "the next place is tried";
}

// Whatever this kernel shows: root finds its functions, others learn why not.
TEST(RunningKernel, TellsItsFunctionsToRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may read kernel addresses";
  const auto function = find_kernel_function("do_exit");
  ASSERT_TRUE(function) << function.error().message;
  const KernelSymbols symbols = KernelSymbols::load();
  const auto named = symbols.find(function->entry);
  ASSERT_TRUE(named.has_value());
  EXPECT_EQ(named->name, "do_exit");
  EXPECT_EQ(named->offset, 0U);
}

TEST(RunningKernel, TellsItsVariablesToRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may read kernel addresses";
  const auto jiffies = find_kernel_variable("jiffies");
  if (!jiffies && jiffies.error().error.code == ErrorCode::not_supported)
    GTEST_SKIP() << jiffies.error().message;
  ASSERT_TRUE(jiffies) << jiffies.error().message;
  EXPECT_EQ(jiffies->length.value, sizeof(long));
}

TEST(RunningKernel, HidesItsAddressesFromOthers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setuid(kNobody) != 0) ::_exit(3);
    const auto found = find_kernel_function("do_exit");
    if (found) ::_exit(2);
    ::_exit(found.error().error.code == ErrorCode::permission_denied ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  // kernel.perf_event_paranoid below 2 opens them to everybody.
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "this machine shows kernel addresses to everybody";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace trapline::symbols
