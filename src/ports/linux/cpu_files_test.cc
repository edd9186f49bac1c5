#include "ports/linux/cpu_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

constexpr uid_t kNobody = 65534;

class CpuFilesTest : public testing::Test {
 protected:
  CpuFilesTest() {
    std::string pattern = testing::TempDir() + "cpu_files_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~CpuFilesTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string read(const std::string& name) {
    std::ifstream file(root_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] CpuFiles files() const { return CpuFiles(root_.string()); }

  std::filesystem::path root_;
};

TEST_F(CpuFilesTest, ReadsTheThreeSets) {
  write("possible", "0-7\n");
  write("present", "0-3,6\n");
  write("online", "0,2\n");
  const CpuFiles cpus = files();
  EXPECT_EQ(cpus.possible(), parse_cpu_list("0-7"));
  EXPECT_EQ(cpus.present(), parse_cpu_list("0-3,6"));
  EXPECT_EQ(cpus.online(), parse_cpu_list("0,2"));
}

TEST_F(CpuFilesTest, NamesAFileThatIsMissingOrIsNoList) {
  EXPECT_EQ(files().online().error(), (Error{ErrorCode::not_supported, ENOENT}));
  write("online", "all of them\n");
  EXPECT_EQ(files().online().error().code, ErrorCode::bad_syntax);
}

TEST_F(CpuFilesTest, SwitchesOneCpu) {
  write("cpu1/online", "?");
  write("cpu2/online", "?");
  EXPECT_TRUE(files().set_online(CpuId{1}, false).has_value());
  EXPECT_EQ(read("cpu1/online"), "0");
  EXPECT_TRUE(files().set_online(CpuId{1}, true).has_value());
  EXPECT_EQ(read("cpu1/online"), "1");
  EXPECT_EQ(read("cpu2/online"), "?");
}

TEST_F(CpuFilesTest, ACpuWithoutASwitchCannotGoDownAndNeedNotComeUp) {
  write("online", "0\n");
  std::filesystem::create_directories(root_ / "cpu0");
  const Error no_switch{ErrorCode::not_supported, ENOENT};
  EXPECT_EQ(files().set_online(CpuId{0}, false).error(), no_switch);
  EXPECT_TRUE(files().set_online(CpuId{0}, true).has_value());
  EXPECT_EQ(files().set_online(CpuId{5}, true).error(), no_switch) << "there is no such CPU";
}

TEST_F(CpuFilesTest, KeepsTheErrnoOfARefusal) {
  // Opening a folder for writing fails with EISDIR.
  std::filesystem::create_directories(root_ / "cpu1/online");
  EXPECT_EQ(files().set_online(CpuId{1}, false).error(), (Error{ErrorCode::os_failure, EISDIR}));
}

TEST_F(CpuFilesTest, SaysWhenRightsAreMissing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  write("cpu1/online", "1");
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto refused = files().set_online(CpuId{1}, false);
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(refused.error(), (Error{ErrorCode::permission_denied, EACCES}));
  EXPECT_EQ(read("cpu1/online"), "1");
}

TEST_F(CpuFilesTest, AFolderMadeAnewIsAnotherGeneration) {
  std::filesystem::create_directories(root_ / "cpu1/topology");
  const auto first = files().generation(CpuId{1});
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(files().generation(CpuId{1}), first);
  // Kept elsewhere, so that a file system which reuses numbers cannot reuse its.
  std::filesystem::rename(root_ / "cpu1/topology", root_ / "former");
  EXPECT_EQ(files().generation(CpuId{1}), std::nullopt);
  std::filesystem::create_directories(root_ / "cpu1/topology");
  const auto second = files().generation(CpuId{1});
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(second, first);
}

TEST(CpuFiles, ThisMachinesSetsAgree) {
  const CpuFiles cpus;
  const auto possible = cpus.possible();
  const auto present = cpus.present();
  const auto online = cpus.online();
  ASSERT_TRUE(possible && present && online);
  EXPECT_FALSE(online->empty());
  online->for_each([&](CpuId cpu) { EXPECT_TRUE(present->contains(cpu)) << cpu.value; });
  present->for_each([&](CpuId cpu) { EXPECT_TRUE(possible->contains(cpu)) << cpu.value; });
}

TEST(CpuFiles, ThisMachinesOnlineCpusHaveGenerationsThatStay) {
  const CpuFiles cpus;
  const auto online = cpus.online();
  ASSERT_TRUE(online.has_value());
  if (!cpus.generation(CpuId{0})) GTEST_SKIP() << "CPU 0 has no folder topology here";
  online->for_each([&](CpuId cpu) {
    const auto generation = cpus.generation(cpu);
    EXPECT_TRUE(generation.has_value()) << cpu.value;
    EXPECT_EQ(cpus.generation(cpu), generation) << cpu.value;
  });
}

}  // namespace
}  // namespace trapline::linux_port
