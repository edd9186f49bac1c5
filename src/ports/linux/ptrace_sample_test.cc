#include "ports/linux/ptrace_sample.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// A stack in memory, readable only between its bounds.
class FakeStack final : public MemoryReader {
 public:
  static constexpr std::uint64_t kBase = 0x7ffe0000;

  explicit FakeStack(std::size_t words) : words_(words) {}
  void set(std::uint64_t address, std::uint64_t value) { words_[index_of(address)] = value; }

  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> to) override {
    const std::uint64_t end = kBase + words_.size() * sizeof(std::uint64_t);
    if (address.value() < kBase || address.value() >= end) return 0;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), end - address.value()));
    std::memcpy(to.data(),
                reinterpret_cast<const std::byte*>(words_.data()) + (address.value() - kBase),
                count);
    return count;
  }

 private:
  static std::size_t index_of(std::uint64_t address) {
    return static_cast<std::size_t>((address - kBase) / sizeof(std::uint64_t));
  }
  std::vector<std::uint64_t> words_;
};

constexpr std::uint64_t kSp = FakeStack::kBase;

std::vector<RemoteAddress> walk(FakeStack& stack, std::uint64_t frame) {
  std::vector<RemoteAddress> callers;
  walk_frames(stack, {.instruction = 1, .stack = kSp, .frame = frame}, callers);
  return callers;
}

TEST(WalkFramesTest, FollowsSavedFramePointersToTheEnd) {
  FakeStack stack(1024);
  stack.set(kSp + 0x10, kSp + 0x100);
  stack.set(kSp + 0x18, 0x401111);
  stack.set(kSp + 0x100, kSp + 0x1800);  // beyond what is read at once
  stack.set(kSp + 0x108, 0x402222);
  stack.set(kSp + 0x1800, 0);
  stack.set(kSp + 0x1808, 0x403333);
  EXPECT_EQ(walk(stack, kSp + 0x10), (std::vector{RemoteAddress(0x401111), RemoteAddress(0x402222),
                                                  RemoteAddress(0x403333)}));
}

TEST(WalkFramesTest, CycleEnds) {
  FakeStack stack(64);
  stack.set(kSp + 0x10, kSp + 0x10);
  stack.set(kSp + 0x18, 0x401111);
  EXPECT_EQ(walk(stack, kSp + 0x10).size(), 1U);
}

TEST(WalkFramesTest, FramePointerThatIsNotOneGivesNothing) {
  FakeStack stack(64);
  for (const std::uint64_t frame : {std::uint64_t{0}, kSp - 8, kSp + 0x13, ~std::uint64_t{7},
                                    kSp + 64 * sizeof(std::uint64_t) - 8, kSp + 0x10000})
    EXPECT_TRUE(walk(stack, frame).empty()) << std::hex << frame;
}

TEST(WalkFramesTest, LengthIsBounded) {
  constexpr std::size_t kWords = 4096;
  FakeStack stack(kWords);
  for (std::size_t i = 0; i + 4 < kWords; i += 2) {
    stack.set(kSp + i * 8, kSp + (i + 2) * 8);
    stack.set(kSp + i * 8 + 8, 0x401000 + i);
  }
  EXPECT_EQ(walk(stack, kSp).size(), 127U);
}

std::string stat_line(const std::string& name, const std::string& parent, const std::string& cpu) {
  // From a real line: fields 5 to 38 do not matter here.
  std::string line = "123 (" + name + ") S " + parent;
  for (int field = 5; field <= 38; ++field) line += " " + std::to_string(field);
  return line + " " + cpu + " 0 0 0\n";
}

TEST(ParseThreadStatTest, NameMayHoldAnything) {
  const auto stat = parse_thread_stat(stat_line("a) R 9 (b", "77", "5"));
  ASSERT_TRUE(stat.has_value());
  EXPECT_STREQ(stat->comm.data(), "a) R 9 (b");
  EXPECT_EQ(stat->parent, ProcessId{77});
  EXPECT_EQ(stat->cpu, CpuId{5});
}

TEST(ParseThreadStatTest, LongNameIsCutWithItsNul) {
  const auto stat = parse_thread_stat(stat_line("kworker/u16:1-events_unbound", "2", "0"));
  ASSERT_TRUE(stat.has_value());
  EXPECT_STREQ(stat->comm.data(), "kworker/u16:1-e");
}

TEST(ParseThreadStatTest, AnythingShorterIsRefused) {
  const std::string whole = stat_line("name", "1", "3");
  // Up to and with the field wanted last.
  for (std::size_t length = 0; length < whole.rfind(" 3 0 0 0"); ++length)
    EXPECT_FALSE(parse_thread_stat(std::string_view(whole).substr(0, length))) << length;
  EXPECT_FALSE(parse_thread_stat(stat_line("name", "x", "3")));
  EXPECT_FALSE(parse_thread_stat(stat_line("name", "1", "-1")));
}

TEST(ParseThreadStatTest, OwnThreadIsRead) {
  const auto stat = read_thread_stat(ProcessId{::getpid()}, ThreadId{::gettid()});
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->parent.value, ::getppid());
  EXPECT_EQ(std::string(stat->comm.data()),
            thread_name(ProcessId{::getpid()}, ThreadId{::gettid()}));
}

}  // namespace
}  // namespace trapline::linux_port
