#include "ports/linux/remote_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <vector>

namespace trapline::linux_port {
namespace {

// Pages that are the same in a forked child, the last of which is not readable.
class RemoteMemoryTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kReadablePages = 3;

  void SetUp() override {
    page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* memory = ::mmap(nullptr, (kReadablePages + 2) * page_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    base_ = static_cast<std::uint8_t*>(memory);
    for (std::size_t i = 0; i < kReadablePages * page_; ++i)
      base_[i] = static_cast<std::uint8_t>(i * 31 + i / page_);
    ASSERT_EQ(::mprotect(base_ + kReadablePages * page_, page_, PROT_NONE), 0);
    ASSERT_EQ(::munmap(base_ + (kReadablePages + 1) * page_, page_), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (true) ::pause();
    }
    ASSERT_GT(child_, 0);
  }

  void TearDown() override {
    end_child();
    ::munmap(base_, (kReadablePages + 1) * page_);
  }

  void end_child() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  [[nodiscard]] RemoteAddress at(std::size_t offset) const {
    return RemoteAddress::of_local(base_ + offset);
  }

  std::size_t page_ = 0;
  std::uint8_t* base_ = nullptr;
  pid_t child_ = -1;
};

TEST_F(RemoteMemoryTest, ReadsWholeRangeAtEveryOffsetAroundPageBoundary) {
  RemoteMemory memory(ProcessId{child_});
  for (std::size_t offset = page_ - 9; offset <= page_ + 1; ++offset) {
    std::array<std::byte, 8> bytes{};
    ASSERT_EQ(memory.read(at(offset), bytes), bytes.size());
    EXPECT_EQ(std::memcmp(bytes.data(), base_ + offset, bytes.size()), 0) << offset;
  }
}

TEST_F(RemoteMemoryTest, StopsAtPageWithoutReadPermission) {
  RemoteMemory memory(ProcessId{child_});
  std::vector<std::byte> bytes(2 * page_);
  const std::size_t offset = (kReadablePages - 1) * page_ + 100;
  EXPECT_EQ(memory.read(at(offset), bytes), page_ - 100);
  EXPECT_EQ(std::memcmp(bytes.data(), base_ + offset, page_ - 100), 0);
  EXPECT_EQ(memory.read(at(kReadablePages * page_), bytes), 0U);
}

TEST_F(RemoteMemoryTest, ReadsNothingFromUnmappedPage) {
  RemoteMemory memory(ProcessId{child_});
  std::array<std::byte, 16> bytes{};
  EXPECT_EQ(memory.read(RemoteAddress(8), bytes), 0U);
  EXPECT_FALSE(memory.read_object<std::uint32_t>(RemoteAddress(0)).has_value());
}

TEST_F(RemoteMemoryTest, StopsWhereTheAddressSpaceEnds) {
  RemoteMemory memory(ProcessId{child_});
  std::array<std::byte, 16> bytes{};
  EXPECT_EQ(memory.read(RemoteAddress(~std::uint64_t{0} - 7), bytes), 0U);
}

TEST_F(RemoteMemoryTest, ReadsMoreThanOneCallCarries) {
  // The stack of the child is this test's own memory, copied: use a large buffer of its heap.
  std::vector<std::uint8_t> large(1024 * 1024 + 77);
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<std::uint8_t>(i ^ i >> 8 ^ i >> 16);
  end_child();
  child_ = ::fork();
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  RemoteMemory memory(ProcessId{child_});
  std::vector<std::byte> bytes(large.size());
  ASSERT_EQ(memory.read(RemoteAddress::of_local(large.data()), bytes), bytes.size());
  EXPECT_EQ(std::memcmp(bytes.data(), large.data(), large.size()), 0);
}

TEST_F(RemoteMemoryTest, ReadsNothingFromProcessThatIsGone) {
  RemoteMemory memory(ProcessId{child_});
  std::array<std::byte, 8> bytes{};
  ASSERT_EQ(memory.read(at(0), bytes), bytes.size());
  end_child();
  EXPECT_EQ(memory.read(at(0), bytes), 0U);
}

}  // namespace
}  // namespace trapline::linux_port
