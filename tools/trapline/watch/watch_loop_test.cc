#include "tools/trapline/watch/watch_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace trapline::command {
namespace {

class CountingCollector final : public linux_port::Collector {
 public:
  [[nodiscard]] std::string_view name() const override { return "counting"; }
  [[nodiscard]] Result<linux_port::InstallReport> install(
      const linux_port::TargetScope&, const Plan&, const linux_port::CollectorOptions&) override {
    return {};
  }
  [[nodiscard]] std::span<const int> descriptors() const override { return {}; }
  [[nodiscard]] std::optional<Nanoseconds> drain_interval() const override { return {}; }
  [[nodiscard]] Result<Drained> drain(linux_port::SampleSink&) override {
    if (++drains == 2 && before_second_drain) before_second_drain();
    return Drained{};
  }
  void stop(linux_port::SampleSink&) override {}

  int drains = 0;
  std::function<void()> before_second_drain;
};

class SilentReporter final : public report::Reporter {
 public:
  [[nodiscard]] Result<void> start(const report::WatchStart&) override { return {}; }
  [[nodiscard]] Result<void> hit(const report::HitView&) override { return {}; }
  [[nodiscard]] Result<void> lost(std::uint64_t) override { return {}; }
  [[nodiscard]] Result<void> cpu(const report::CpuEventView&) override { return {}; }
  [[nodiscard]] Result<void> end(const report::WatchEnd&) override { return {}; }
  [[nodiscard]] Result<void> flush() override { return {}; }
};

// Signals stay blocked and ignored only as long as a test takes.
class KeptSignals {
 public:
  KeptSignals() { ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_); }
  KeptSignals(const KeptSignals&) = delete;
  KeptSignals& operator=(const KeptSignals&) = delete;
  ~KeptSignals() {
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_DFL);
  }

 private:
  sigset_t mask_{};
};

// A page of a file, as a library is, and what comes in its place when that is unloaded.
void* library = nullptr;
constexpr std::size_t kPage = 4096;

void map_library() {
  const linux_port::FileDescriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  library = ::mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file.get(), 0);
  ASSERT_NE(library, MAP_FAILED);
}

void replace_library(int /*signal*/) {
  void* const placed = ::mmap(library, kPage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (placed != library) ::_exit(1);
}

// A watch of a child process that sleeps, with nobody to report a hit; symbols are this process's.
class WatchLoopTest : public ::testing::Test {
 protected:
  WatchLoopTest() {
    map_library();
    std::signal(SIGUSR1, replace_library);
    child_ = ::fork();
    while (child_ == 0) ::pause();
    std::signal(SIGUSR1, SIG_DFL);
  }
  ~WatchLoopTest() override {
    ::munmap(library, kPage);
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  std::string run() {
    options_.pid = child_;
    auto target = Target::acquire(options_, linux_port::InheritedSignals::capture());
    const auto signals = StopSignals::block();
    auto image = symbols::ProcessImage::open(ProcessId{::getpid()});
    if (!target || !signals || !image) return "not set up";
    if (kill_first_) {
      ::kill(child_, SIGKILL);
      while (!target->has_exited()) ::usleep(1000);
    }
    ProcessViews views(std::move(*image));
    HitPipeline pipeline({options_, object_, ProcessId{child_}, views, reporter_});
    const auto reason =
        WatchLoop(options_, object_, collector_, pipeline, reporter_, *target, *signals).run();
    return reason ? *reason : reason.error().message;
  }

  KeptSignals kept_;
  pid_t child_ = -1;
  bool kill_first_ = false;
  WatchOptions options_;
  WatchedObject object_;
  CountingCollector collector_;
  SilentReporter reporter_;
};

constexpr Nanoseconds kShortWatch{400'000'000};
// Of a loop that waits: one at the start, one for each look at the mappings, one at the end.
constexpr int kFewDrains = 10;

TEST_F(WatchLoopTest, SleepsWhileNothingHappens) {
  options_.duration = kShortWatch;
  EXPECT_EQ(run(), "0.4 s passed");
  EXPECT_LT(collector_.drains, kFewDrains);
}

TEST_F(WatchLoopTest, SleepsWhenOnlyChildrenAreLeft) {
  options_.duration = kShortWatch;
  options_.follow_children = true;
  kill_first_ = true;
  EXPECT_EQ(run(), "0.4 s passed");
  EXPECT_LT(collector_.drains, kFewDrains);
}

TEST_F(WatchLoopTest, EndsWithTheTarget) {
  kill_first_ = true;
  EXPECT_EQ(run(), "the target ended");
}

TEST_F(WatchLoopTest, EndsWhenOtherMemoryTakesTheLibrarysPlace) {
  options_.what = "state";
  options_.duration = Nanoseconds{3'000'000'000};
  object_.module = "plugin.so";
  object_.module_start = RemoteAddress::of_local(library);
  object_.request.address = RemoteAddress::of_local(library) + ByteCount{64};
  collector_.before_second_drain = [this] { ::kill(child_, SIGUSR1); };
  EXPECT_EQ(run(), "plugin.so, which holds state, was unloaded");
}

TEST_F(WatchLoopTest, GoesOnWhileTheLibraryStays) {
  options_.what = "state";
  options_.duration = kShortWatch;
  object_.module = "plugin.so";
  object_.module_start = RemoteAddress::of_local(library);
  object_.request.address = RemoteAddress::of_local(library) + ByteCount{64};
  EXPECT_EQ(run(), "0.4 s passed");
}

TEST(StopSignals, EverySignalThatAsksForTheEndIsTaken) {
  const KeptSignals kept;
  const auto signals = StopSignals::block();
  ASSERT_TRUE(signals.has_value());
  EXPECT_EQ(signals->take(), std::nullopt);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    // Not raise(): the test ends if one of them is not blocked, and says by which.
    ::kill(::getpid(), number);
    EXPECT_EQ(signals->take(), number);
  }
}

}  // namespace
}  // namespace trapline::command
