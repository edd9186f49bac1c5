#include "ports/linux/proc_fs.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace trapline::linux_port {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::string_view kMaps =
    "55750dc48000-55750dc4a000 r--p 00000000 fe:00 247498                     /usr/bin/head\n"
    "55750dc4a000-55750dc50000 r-xp 00002000 fe:00 247498                     /usr/bin/head\n"
    "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
    "7f0000030000-7f0000031000 rw-s 00000000 00:01 1024                       /dev/zero (deleted)\n"
    "7f0000040000-7f0000041000 ---p 00001000 fe:00 9                          /tmp/a b\\012c\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

constexpr std::string_view kStatus =
    "Name:\ta\\nb\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t100\nNgid:\t0\nPid:\t101\nPPid:\t1\n"
    "TracerPid:\t77\nUid:\t1000\t1001\t1000\t1000\nGid:\t0\t0\t0\t0\n"
    "CapEff:\t000001fffeffffff\nSeccomp:\t2\nSeccomp_filters:\t1\n";

TEST(ParseMaps, ReadsEveryFieldOfEveryLine) {
  const auto maps = parse_maps(kMaps);
  ASSERT_TRUE(maps.has_value());
  ASSERT_THAT(*maps, SizeIs(6));
  const Mapping& code = (*maps)[1];
  EXPECT_EQ(code.start, RemoteAddress(0x55750dc4a000));
  EXPECT_EQ(code.end, RemoteAddress(0x55750dc50000));
  EXPECT_TRUE(code.readable);
  EXPECT_FALSE(code.writable);
  EXPECT_TRUE(code.executable);
  EXPECT_FALSE(code.shared);
  EXPECT_EQ(code.file_offset, 0x2000U);
  EXPECT_EQ(code.inode, 247498U);
  EXPECT_EQ(code.path, "/usr/bin/head");
  EXPECT_EQ((*maps)[2].path, "");
  EXPECT_TRUE((*maps)[2].writable);
  EXPECT_TRUE((*maps)[3].shared);
  EXPECT_EQ((*maps)[3].path, "/dev/zero (deleted)");
  EXPECT_EQ((*maps)[4].path, "/tmp/a b\nc");
  EXPECT_EQ((*maps)[5].path, "[vsyscall]");
}

TEST(ParseMaps, AcceptsNothingAtAll) {
  const auto maps = parse_maps("");
  ASSERT_TRUE(maps.has_value());
  EXPECT_TRUE(maps->empty());
}

TEST(ParseMaps, RejectsALineThatIsNotAMapping) {
  for (const std::string_view line :
       {"garbage", "1000-2000", "1000-2000 r--p", "1000-2000 r--p 0 00:00",
        "1000-2000 r--q 0 00:00 0", "2000-1000 r--p 0 00:00 0", "x-2000 r--p 0 00:00 0",
        "1000-2000 r--p 0 0000 0", "11112222333344445-2000 r--p 0 00:00 0",
        "1000-2000 r-- 0 00:00 0", "\n"}) {
    const auto maps = parse_maps(line);
    ASSERT_FALSE(maps.has_value()) << line;
    EXPECT_EQ(maps.error().code, ErrorCode::bad_syntax) << line;
  }
}

TEST(ParseMaps, SurvivesACutAtEveryByte) {
  for (std::size_t length = 0; length <= kMaps.size(); ++length) {
    const auto maps = parse_maps(kMaps.substr(0, length));
    if (maps.has_value()) {
      EXPECT_LE(maps->size(), 6U);
    }
  }
}

TEST(ParseStatus, ReadsTheFieldsItKnows) {
  const auto status = parse_status(kStatus);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->name, "a\nb");
  EXPECT_EQ(status->state, 'S');
  EXPECT_EQ(status->tgid, ProcessId{100});
  EXPECT_EQ(status->tid, ThreadId{101});
  EXPECT_EQ(status->tracer, ProcessId{77});
  EXPECT_EQ(status->effective_uid, 1001U);
  EXPECT_EQ(status->effective_gid, 0U);
  EXPECT_EQ(status->effective_capabilities, 0x1fffeffffffU);
  EXPECT_EQ(status->seccomp_mode, 2);
}

TEST(ParseStatus, TakesAMissingSeccompLineAsOff) {
  const std::string_view text = kStatus.substr(0, kStatus.find("Seccomp"));
  const auto status = parse_status(text);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->seccomp_mode, 0);
}

TEST(ParseStatus, RejectsACutBeforeTheLastNeededField) {
  const std::size_t needed = kStatus.find("CapEff:") + std::string_view("CapEff:\t0").size();
  for (std::size_t length = 0; length < needed; ++length)
    EXPECT_FALSE(parse_status(kStatus.substr(0, length)).has_value()) << length;
}

TEST(ParseStatus, RejectsNumbersThatAreNone) {
  std::string text(kStatus);
  text.replace(text.find("77"), 2, "7x");
  EXPECT_FALSE(parse_status(text).has_value());
}

TEST(FindAuxv, FindsAnEntryAndStopsAtTheEndMark) {
  const std::array<std::uintptr_t, 6> words = {AT_PAGESZ, 4096, AT_NULL, 0, AT_ENTRY, 0x1234};
  const std::string_view bytes(reinterpret_cast<const char*>(words.data()), sizeof words);
  EXPECT_EQ(find_auxv(bytes, AT_PAGESZ), 4096U);
  EXPECT_EQ(find_auxv(bytes, AT_ENTRY), std::nullopt);
  EXPECT_EQ(find_auxv(bytes.substr(0, 2 * sizeof words[0] - 1), AT_PAGESZ), std::nullopt);
  EXPECT_EQ(find_auxv("", AT_PAGESZ), std::nullopt);
}

TEST(FindAuxv, AgreesWithTheLibraryAboutThisProcess) {
  const auto bytes = read_file("/proc/self/auxv");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(find_auxv(*bytes, AT_ENTRY), ::getauxval(AT_ENTRY));
}

TEST(ReadMaps, FindsThisFunctionInExecutableMemory) {
  const auto maps = read_maps(ProcessId{::getpid()});
  ASSERT_TRUE(maps.has_value()) << maps.error().message;
  const RemoteAddress here(reinterpret_cast<std::uintptr_t>(&find_auxv));
  const auto found = std::ranges::find_if(
      *maps, [here](const Mapping& mapping) { return mapping.contains(here); });
  ASSERT_NE(found, maps->end());
  EXPECT_TRUE(found->executable);
  EXPECT_EQ(found->path, executable_path(ProcessId{::getpid()}));
}

TEST(ReadStatus, TellsAThreadFromItsProcess) {
  std::optional<ThreadId> other;
  std::optional<ProcessId> owner;
  std::vector<ThreadId> seen;
  std::string name;
  std::thread([&] {
    other = ThreadId{::gettid()};
    ::pthread_setname_np(::pthread_self(), "worker 7");
    owner = process_of(*other).value_or(ProcessId{0});
    seen = list_threads(ProcessId{::getpid()}).value_or(std::vector<ThreadId>{});
    name = thread_name(ProcessId{::getpid()}, *other);
  }).join();
  EXPECT_EQ(owner, ProcessId{::getpid()});
  EXPECT_THAT(seen, Contains(*other));
  EXPECT_THAT(seen, Contains(ThreadId{::getpid()}));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(name, "worker 7");
  EXPECT_EQ(thread_name(ProcessId{::getpid()}, *other), "");
}

TEST(ReadStatus, NamesAProcessThatIsGone) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const ProcessId gone{child};
  const auto status = read_status(gone);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().error.code, ErrorCode::no_such_process);
  EXPECT_THAT(status.error().message, HasSubstr(std::to_string(child)));
  EXPECT_EQ(read_maps(gone).error().error.code, ErrorCode::no_such_process);
  EXPECT_EQ(list_threads(gone).error().error.code, ErrorCode::no_such_process);
  EXPECT_EQ(executable_path(gone), "");
}

TEST(ListProcesses, ContainsThisOne) {
  EXPECT_THAT(list_processes(), Contains(ProcessId{::getpid()}));
}

TEST(Cpus, OnlineOnesArePossible) {
  const auto online = online_cpus();
  const auto possible = possible_cpus();
  ASSERT_TRUE(online.has_value()) << online.error().message;
  ASSERT_TRUE(possible.has_value()) << possible.error().message;
  EXPECT_EQ(online->count(), static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  online->for_each([&](CpuId cpu) { EXPECT_TRUE(possible->contains(cpu)); });
}

TEST(ReadNumber, TellsANumberFromNoFile) {
  EXPECT_GT(read_number("/proc/sys/kernel/pid_max").value_or(0), 0);
  EXPECT_EQ(read_number("/proc/sys/kernel/no_such_setting"), std::nullopt);
  EXPECT_EQ(read_number("/proc/version"), std::nullopt);
}

}  // namespace
}  // namespace trapline::linux_port
