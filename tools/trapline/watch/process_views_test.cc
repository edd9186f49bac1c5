// Views of this very process and of children of it, which run the same code.
#include "tools/trapline/watch/process_views.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decode/fake_memory.h"
#include "ports/linux/proc_fs.h"

namespace trapline::command {
namespace {

using decode::testing::FakeMemory;
using linux_port::TargetEvent;
using Kind = TargetEvent::Kind;

// What is looked up; its name is what symbols have to give.
[[gnu::noinline]] void known_function() {
  asm volatile("");
}

RemoteAddress known_address() {
  return RemoteAddress(reinterpret_cast<std::uintptr_t>(&known_function));
}

// A child that waits, until told to execute another program or to end.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGUSR1, [](int) { ::execl("/bin/sleep", "sleep", "1000", nullptr); });
    while (true) ::pause();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  void execute_another_program() const {
    const std::string before = linux_port::executable_path(pid());
    ::kill(pid_, SIGUSR1);
    while (linux_port::executable_path(pid()) == before) ::usleep(1000);
  }
  void end() {
    if (ended_) return;
    ended_ = true;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
  bool ended_ = false;
};

const ProcessId self{::getpid()};

std::unique_ptr<symbols::ProcessImage> own_image() {
  auto image = symbols::ProcessImage::open(self);
  EXPECT_TRUE(image);
  return image ? std::move(*image) : nullptr;
}

std::string symbol_of_known_function(ProcessView& view) {
  std::vector<symbols::Frame> frames;
  view.append_frames(known_address(), false, frames);
  EXPECT_FALSE(frames.empty());
  if (frames.empty()) return {};
  EXPECT_EQ(frames[0].ip, known_address());
  return frames[0].symbol;
}

bool knows_code(ProcessView& view) {
  return symbol_of_known_function(view).find("known_function") != std::string::npos;
}

linux_port::Sample sample_of(ProcessId pid) {
  linux_port::Sample sample;
  sample.hit.pid = pid;
  sample.hit.trap_ip = known_address();
  return sample;
}

class SingleProcessView : public ::testing::Test {
 protected:
  ProcessViews views_{own_image()};
};

TEST_F(SingleProcessView, ExplainsTheHitsOfItsChildrenToo) {
  ProcessView& view = views_.of(self);
  EXPECT_EQ(&views_.of(ProcessId{1}), &view);
  EXPECT_EQ(view.pid(), self);
  EXPECT_TRUE(knows_code(view));
}

TEST_F(SingleProcessView, IsLookedUpAgainWhenItsCodeChanged) {
  const std::uint64_t number = views_.of(self).number();
  views_.on_event({.kind = Kind::code_mapped, .pid = ProcessId{1}});
  EXPECT_EQ(views_.of(self).number(), number) << "another process's code";
  views_.on_event({.kind = Kind::code_mapped, .pid = self});
  const std::uint64_t after = views_.of(self).number();
  EXPECT_NE(after, number);
  EXPECT_EQ(views_.of(self).number(), after);
  EXPECT_TRUE(knows_code(views_.of(self)));
}

// Loaded while a view is there. Of the C library's package; nothing here is linked with it, nor are
// sanitizers.
class LateLibrary : public SingleProcessView {
 protected:
  void SetUp() override {
    library_ = ::dlopen("libthread_db.so.1", RTLD_LAZY);
    if (library_ == nullptr) GTEST_SKIP() << "there is no libthread_db.so.1 here";
    code_ = RemoteAddress::of_local(::dlsym(library_, "td_init"));
  }
  void TearDown() override {
    if (library_ != nullptr) ::dlclose(library_);
  }

  std::uint64_t number_ = views_.of(sample_of(self)).number();
  RemoteAddress code_;

 private:
  void* library_ = nullptr;
};

TEST_F(LateLibrary, IsFoundAtAHitInItOnceItsMappingMayBeLost) {
  linux_port::Sample sample = sample_of(self);
  sample.hit.trap_ip = code_;
  EXPECT_EQ(views_.of(sample).number(), number_) << "nothing was lost";
  views_.on_lost();
  EXPECT_EQ(views_.of(sample_of(self)).number(), number_) << "its code is known";
  ProcessView& view = views_.of(sample);
  const std::uint64_t after = view.number();
  EXPECT_NE(after, number_);
  std::vector<symbols::Frame> frames;
  view.append_frames(code_, false, frames);
  ASSERT_FALSE(frames.empty());
  EXPECT_NE(frames[0].symbol.find("td_init"), std::string::npos) << frames[0].symbol;
  views_.on_lost();
  sample.hit.trap_ip = RemoteAddress(8);
  EXPECT_EQ(views_.of(sample).number(), after) << "code of no file";
}

TEST_F(LateLibrary, IsFoundAtAHitThatCameFromIt) {
  linux_port::Sample sample = sample_of(self);
  const std::array callers{known_address(), code_};
  sample.hit.callers = callers;
  views_.on_lost();
  EXPECT_NE(views_.of(sample).number(), number_);
}

TEST_F(SingleProcessView, StaysThatOfTheProgramThatTheChildrenRun) {
  const std::uint64_t number = views_.of(self).number();
  views_.on_event({.kind = Kind::executed, .pid = self});
  views_.on_event({.kind = Kind::code_mapped, .pid = self});
  views_.on_event({.kind = Kind::process_exited, .pid = self});
  ProcessView& view = views_.of(self);
  EXPECT_EQ(view.number(), number);
  EXPECT_TRUE(knows_code(view));
  EXPECT_EQ(view.find_culprit(sample_of(self)), nullptr);
}

class ViewsByProcess : public ::testing::Test {
 protected:
  static constexpr std::size_t kLimit = 2;

  ProcessViews views_{nullptr, kLimit};
  Child first_;
  Child second_;
  Child third_;
};

TEST_F(ViewsByProcess, EachProcessHasItsOwn) {
  ProcessView& first = views_.of(first_.pid());
  EXPECT_EQ(first.pid(), first_.pid());
  EXPECT_TRUE(knows_code(first));
  ProcessView& second = views_.of(second_.pid());
  EXPECT_NE(first.number(), second.number());
  EXPECT_EQ(&views_.of(first_.pid()), &first);
}

TEST_F(ViewsByProcess, TheOneUsedLongestAgoIsDropped) {
  const std::uint64_t first = views_.of(first_.pid()).number();
  const std::uint64_t second = views_.of(second_.pid()).number();
  EXPECT_EQ(views_.of(first_.pid()).number(), first);
  const std::uint64_t third = views_.of(third_.pid()).number();
  EXPECT_EQ(views_.of(first_.pid()).number(), first);
  EXPECT_EQ(views_.of(third_.pid()).number(), third);
  const std::uint64_t again = views_.of(second_.pid()).number();
  EXPECT_NE(again, second);
  EXPECT_NE(again, third) << "a number is not used twice";
}

TEST_F(ViewsByProcess, AreDroppedWhenTheProcessIsNotTheOneSeenBefore) {
  const std::uint64_t kept = views_.of(second_.pid()).number();
  for (const Kind kind : {Kind::process_exited, Kind::executed, Kind::process_forked}) {
    const std::uint64_t before = views_.of(first_.pid()).number();
    views_.on_event({.kind = kind, .pid = first_.pid()});
    EXPECT_NE(views_.of(first_.pid()).number(), before);
    EXPECT_EQ(views_.of(second_.pid()).number(), kept);
  }
}

TEST_F(ViewsByProcess, AreKeptWhenOnlyAThreadComesOrGoes) {
  const std::uint64_t before = views_.of(first_.pid()).number();
  views_.on_event({.kind = Kind::thread_started, .pid = first_.pid()});
  views_.on_event({.kind = Kind::thread_exited, .pid = first_.pid()});
  EXPECT_EQ(views_.of(first_.pid()).number(), before);
}

TEST_F(ViewsByProcess, NewCodeMakesThatProcesssStaleOnly) {
  const std::uint64_t first = views_.of(first_.pid()).number();
  const std::uint64_t second = views_.of(second_.pid()).number();
  views_.on_event({.kind = Kind::code_mapped, .pid = first_.pid()});
  views_.on_event({.kind = Kind::code_mapped, .pid = third_.pid()});
  EXPECT_NE(views_.of(first_.pid()).number(), first);
  EXPECT_EQ(views_.of(second_.pid()).number(), second);
}

TEST_F(ViewsByProcess, ProcessThatIsGoneHasAddressesWithoutNames) {
  views_.read_initial({RemoteAddress::of_local(&views_), ByteCount{4}, Access::write}, {}, false);
  first_.end();
  ProcessView& view = views_.of(first_.pid());
  EXPECT_EQ(view.image(), nullptr);
  EXPECT_EQ(symbol_of_known_function(view), "");
  linux_port::Sample sample = sample_of(first_.pid());
  const std::vector<RemoteAddress> callers{RemoteAddress(1), RemoteAddress(2)};
  sample.hit.callers = callers;
  sample.stack_top = RemoteAddress(3);
  EXPECT_EQ(view.find_culprit(sample), nullptr);
  for (const auto mode : {linux_port::StackMode::frame_pointer, linux_port::StackMode::dwarf})
    EXPECT_EQ(view.find_callers(sample, mode).data(), callers.data());
  view.values().update(sample.hit, nullptr, {}, true);
  EXPECT_EQ(sample.hit.new_value, MemoryValue{});
  views_.on_event({.kind = Kind::code_mapped, .pid = first_.pid()});
  EXPECT_EQ(views_.of(first_.pid()).image(), nullptr);
}

TEST_F(ViewsByProcess, KernelsThreadsAndUnknownProcessesHaveNoCodeToName) {
  for (const std::int32_t pid : {-1, 0}) {
    EXPECT_EQ(views_.of(ProcessId{pid}).image(), nullptr);
    EXPECT_EQ(symbol_of_known_function(views_.of(ProcessId{pid})), "");
  }
  constexpr ProcessId kKernelThreads{2};
  if (linux_port::thread_name(kKernelThreads, ThreadId{2}) != "kthreadd")
    GTEST_SKIP() << "no thread of the kernel is visible here";
  EXPECT_EQ(symbol_of_known_function(views_.of(kKernelThreads)), "");
}

TEST_F(ViewsByProcess, LostEventsDropWhatIsNotTrueAnyMore) {
  const std::uint64_t same = views_.of(first_.pid()).number();
  const std::uint64_t executed = views_.of(second_.pid()).number();
  EXPECT_TRUE(knows_code(views_.of(second_.pid())));
  second_.execute_another_program();
  views_.on_lost();
  EXPECT_EQ(views_.of(first_.pid()).number(), same);
  EXPECT_NE(views_.of(second_.pid()).number(), executed);
  EXPECT_FALSE(knows_code(views_.of(second_.pid())));
}

TEST_F(ViewsByProcess, ProcessThatEndedIsStillKnownAfterALoss) {
  EXPECT_TRUE(knows_code(views_.of(first_.pid())));
  first_.end();
  views_.on_lost();
  EXPECT_TRUE(knows_code(views_.of(first_.pid())));
}

class Values : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kAddress = 0xffff'ffff'8200'0000;

  // What a hit of `pid` on the watched memory comes out as; `read` is what the collector saw.
  Hit hit_of(ProcessViews& views, ProcessId pid, MemoryValue read) const {
    Hit hit;
    hit.pid = pid;
    hit.address = request_.address;
    hit.length = request_.length;
    hit.new_value = read;
    views.values_of(views.of(pid)).update(hit, nullptr, {}, true);
    return hit;
  }

  Request request_{RemoteAddress(kAddress), ByteCount{4}, Access::write};
  std::vector<SlotRequest> slots_{{request_.address, request_.length, request_.access}};
  Child first_;
  Child second_;
};

TEST_F(Values, OfTheKernelAreTheSameForAllProcesses) {
  FakeMemory memory;
  memory.put(kAddress, {5, 0, 0, 0});
  ProcessViews views(&memory);
  views.read_initial(request_, slots_, false);
  views.set_sees_all_writers(true);
  EXPECT_EQ(hit_of(views, first_.pid(), {6, Certainty::exact}).old_value,
            (MemoryValue{5, Certainty::approximate}));
  memory.put(kAddress, {8, 0, 0, 0});
  const Hit second = hit_of(views, second_.pid(), {});
  EXPECT_EQ(second.old_value, (MemoryValue{6, Certainty::exact}));
  EXPECT_EQ(second.new_value, (MemoryValue{8, Certainty::approximate}));
  EXPECT_EQ(hit_of(views, ProcessId{0}, {9, Certainty::exact}).old_value,
            (MemoryValue{8, Certainty::approximate}));
  views.forget_values();
  EXPECT_EQ(hit_of(views, first_.pid(), {1, Certainty::exact}).old_value, MemoryValue{});
}

TEST_F(Values, OfProcessesAreTheirOwn) {
  ProcessViews views(nullptr);
  views.read_initial(request_, slots_, false);
  views.set_sees_all_writers(true);
  EXPECT_EQ(hit_of(views, first_.pid(), {6, Certainty::exact}).old_value, MemoryValue{});
  EXPECT_EQ(hit_of(views, second_.pid(), {7, Certainty::exact}).old_value, MemoryValue{});
  EXPECT_EQ(hit_of(views, first_.pid(), {8, Certainty::exact}).old_value,
            (MemoryValue{6, Certainty::exact}));
  views.set_sees_all_writers(false);
  EXPECT_EQ(hit_of(views, second_.pid(), {9, Certainty::exact}).old_value,
            (MemoryValue{7, Certainty::approximate}));
  views.on_lost();
  EXPECT_EQ(hit_of(views, first_.pid(), {1, Certainty::exact}).old_value, MemoryValue{});
}

TEST_F(Values, OfProcessesThatAreNotToldApartAreNotCarriedFromHitToHit) {
  ProcessViews views(nullptr);
  views.read_initial(request_, slots_, false);
  for (const std::int32_t pid : {-1, 0}) {
    EXPECT_EQ(hit_of(views, ProcessId{pid}, {6, Certainty::exact}).old_value, MemoryValue{});
    EXPECT_EQ(hit_of(views, ProcessId{pid}, {7, Certainty::exact}).old_value, MemoryValue{});
  }
}

TEST_F(Values, HitsOfTheKernelAloneTakeNoProcesssPlace) {
  FakeMemory memory;
  ProcessViews views(&memory, 1);
  const std::uint64_t number = views.of(first_.pid()).number();
  linux_port::Sample sample = sample_of(second_.pid());
  sample.hit.in_kernel = true;
  EXPECT_EQ(views.of(sample).image(), nullptr);
  EXPECT_EQ(views.of(first_.pid()).number(), number);
  sample.user_ip = known_address();
  EXPECT_TRUE(knows_code(views.of(sample)));
}

}  // namespace
}  // namespace trapline::command
