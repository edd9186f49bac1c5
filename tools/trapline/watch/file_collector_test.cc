// About this very process, children of it, and a variable of its own program; the machine is made
// up.
#include "tools/trapline/watch/file_collector.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace trapline::command {
namespace {

using linux_port::TargetEvent;

constexpr ByteCount kWord{4};
constexpr ByteCount kSlot{8};

// Of two slots; most tests watch the first word.
alignas(2 * kSlot.value) std::uint32_t watched_words[4] = {41};

class FakeMachine final : public linux_port::MachineCollector {
 public:
  [[nodiscard]] std::string_view name() const override { return "fake"; }
  [[nodiscard]] Result<linux_port::InstallReport> install(
      const linux_port::TargetScope& /*scope*/, const Plan& /*plan*/,
      const linux_port::CollectorOptions& /*options*/) override {
    return linux_port::InstallReport{};
  }
  [[nodiscard]] Result<void> add(const Plan& /*plan*/) override {
    if (refuses) return fail(ErrorCode::no_free_slot, "all are taken by gdb");
    ++added;
    return {};
  }
  void remove(const Plan& /*plan*/) override { ++removed; }
  [[nodiscard]] std::span<const int> descriptors() const override { return {}; }
  [[nodiscard]] std::optional<Nanoseconds> drain_interval() const override { return {}; }
  [[nodiscard]] Result<Drained> drain(linux_port::SampleSink& sink) override {
    if (tell) std::exchange(tell, {})(sink);
    return Drained{};
  }
  void stop(linux_port::SampleSink& /*sink*/) override {}

  bool refuses = false;
  int added = 0;
  int removed = 0;
  std::function<void(linux_port::SampleSink&)> tell;  // with the next drain
};

class Sink final : public linux_port::SampleSink {
 public:
  void on_sample(const linux_port::Sample& sample) override {
    ++hits;
    initial = sample.initial;
    object_start = sample.object_start;
  }
  void on_event(const TargetEvent& /*event*/) override {}
  void on_lost(std::uint64_t /*count*/) override {}

  int hits = 0;
  // Of the last one.
  MemoryValue initial;
  std::optional<RemoteAddress> object_start;
};

// It has the file where this process has it.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  // Its number stays in use.
  void end() const {
    ::kill(pid_, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }

 private:
  pid_t pid_;
};

class FileCollectorTest : public ::testing::Test {
 protected:
  void SetUp() override { watch(kWord); }
  void watch(ByteCount length) {
    auto file = symbols::identify_file("/proc/self/exe");
    ASSERT_TRUE(file) << file.error().message;
    const auto starts = symbols::find_mappings_in(*file, pid_);
    ASSERT_EQ(starts.size(), 1U);
    if (!file->is_position_independent) GTEST_SKIP() << "this program has a fixed address";
    symbols::FileVariable variable;
    variable.offset_from_load = (address_ - starts.front()).value;
    variable.length = length;
    auto machine = std::make_unique<FakeMachine>();
    machine_ = machine.get();
    collector_ =
        std::make_unique<FileCollector>(std::move(machine), FileObject{*std::move(file), variable},
                                        Request{address_, length, Access::write});
  }
  Result<linux_port::InstallReport> install() {
    return collector_->install({.pid = {}, .whole_machine = true}, Plan{}, {});
  }
  // This process lost its watch, and there was no register for another.
  void be_refused() {
    ASSERT_TRUE(install().has_value());
    drain([&](auto& sink) { exit(sink, pid_); });
    machine_->refuses = true;
    drain([&](auto& sink) { map_code(sink, pid_); });
    machine_->refuses = false;
  }
  void drain(std::function<void(linux_port::SampleSink&)> tell) {
    machine_->tell = std::move(tell);
    EXPECT_TRUE(collector_->drain(sink_).has_value());
  }
  static void hit(linux_port::SampleSink& sink, ProcessId pid, RemoteAddress address) {
    linux_port::Sample sample;
    sample.hit.pid = pid;
    sample.hit.address = address;
    sink.on_sample(sample);
  }
  static void map_code(linux_port::SampleSink& sink, ProcessId pid) {
    sink.on_event({.kind = TargetEvent::Kind::code_mapped, .pid = pid});
  }
  static void fork(linux_port::SampleSink& sink, ProcessId child, ProcessId parent) {
    sink.on_event({.kind = TargetEvent::Kind::process_forked, .pid = child, .parent = parent});
  }
  static void execute(linux_port::SampleSink& sink, ProcessId pid) {
    sink.on_event({.kind = TargetEvent::Kind::executed, .pid = pid});
  }
  static void exit(linux_port::SampleSink& sink, ProcessId pid) {
    sink.on_event({.kind = TargetEvent::Kind::process_exited, .pid = pid});
  }

  const ProcessId stranger_{::getppid()};  // does not have the file
  const ProcessId pid_{::getpid()};
  const RemoteAddress address_ = RemoteAddress::of_local(&watched_words);
  FakeMachine* machine_ = nullptr;
  std::unique_ptr<FileCollector> collector_;
  Sink sink_;
};

TEST_F(FileCollectorTest, CountsTheRegistersOfEachAddress) {
  const auto report = install();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->slots, 1U);
  EXPECT_EQ(machine_->added, 1);
}

TEST_F(FileCollectorTest, FirstRefusalIsTheErrorIfNothingIsWatched) {
  machine_->refuses = true;
  const auto report = install();
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().error.code, ErrorCode::no_free_slot);
  EXPECT_NE(report.error().message.find("all are taken by gdb"), std::string::npos);
}

TEST_F(FileCollectorTest, ValueBeforeTheFirstHitIsKnownOnlyWhereNoHitCanHaveBeen) {
  ASSERT_TRUE(install().has_value());
  drain([&](auto& sink) { hit(sink, pid_, address_); });
  EXPECT_EQ(sink_.initial, (MemoryValue{41, Certainty::approximate}));
  // A child at the same address, which was watched all the time.
  const ProcessId child{::getppid()};
  drain([&](auto& sink) {
    fork(sink, child, pid_);
    hit(sink, child, address_);
  });
  EXPECT_EQ(sink_.initial, MemoryValue{});
}

TEST_F(FileCollectorTest, WhatWasRefusedIsTriedAgainWhenACpuChanges) {
  ASSERT_NO_FATAL_FAILURE(be_refused());
  EXPECT_EQ(machine_->removed, 1);
  drain([](auto&) {});
  EXPECT_EQ(machine_->added, 1);
  drain([](auto& sink) { sink.on_cpu({.cpu = CpuId{1}}); });
  EXPECT_EQ(machine_->added, 2);
}

TEST_F(FileCollectorTest, LostRecordsMakeItLookAtAllProcesses) {
  ASSERT_TRUE(install().has_value());
  const ProcessId gone{-1};
  drain([&](auto& sink) {
    fork(sink, gone, pid_);
    exit(sink, pid_);
  });
  EXPECT_EQ(machine_->removed, 0) << "the child has it still";
  drain([](auto& sink) { sink.on_gap(); });
  // This process is found again, and the one whose end was not told is forgotten.
  for (int tries = 0; tries < 100 && machine_->added < 2; ++tries) {
    ::usleep(10'000);
    drain([](auto&) {});
  }
  EXPECT_EQ(machine_->removed, 1);
  EXPECT_EQ(machine_->added, 2);
}

TEST_F(FileCollectorTest, HitsOfAnotherProgramAreLeftOut) {
  ASSERT_TRUE(install().has_value());
  drain([&](auto& sink) { hit(sink, stranger_, address_); });
  EXPECT_EQ(sink_.hits, 0);
}

TEST_F(FileCollectorTest, HitOfAProcessThatWaitsToBeCollectedIsReported) {
  ASSERT_TRUE(install().has_value());
  const Child child;
  child.end();
  drain([&](auto& sink) {
    map_code(sink, child.pid());
    hit(sink, child.pid(), address_);
  });
  EXPECT_EQ(sink_.hits, 1);
  drain([&](auto& sink) { hit(sink, child.pid(), address_); });
  EXPECT_EQ(sink_.hits, 2) << "to have found nothing says nothing";
}

TEST_F(FileCollectorTest, ObjectBeginsAtTheSamePlaceInAProcessThatIsGone) {
  watch(ByteCount{sizeof watched_words});
  ASSERT_TRUE(install().has_value());
  const ProcessId gone{-1};
  drain([&](auto& sink) { hit(sink, gone, address_ + kSlot); });
  EXPECT_EQ(sink_.object_start, address_);
  drain([&](auto& sink) { hit(sink, gone, address_); });
  EXPECT_EQ(sink_.object_start, address_);
  drain([&](auto& sink) {
    exit(sink, pid_);
    hit(sink, gone, address_ + kSlot);
  });
  EXPECT_EQ(sink_.hits, 3);
  EXPECT_EQ(sink_.object_start, address_) << "where the watch is taken back already";
}

TEST_F(FileCollectorTest, ProcessThatHasEndedKeepsWhatItHadUntilItsEndIsTold) {
  ASSERT_TRUE(install().has_value());
  const Child parent;
  const Child child;
  drain([&](auto& sink) {
    fork(sink, parent.pid(), pid_);
    exit(sink, pid_);
  });
  parent.end();
  drain([&](auto& sink) { map_code(sink, parent.pid()); });
  EXPECT_EQ(machine_->removed, 0);
  drain([&](auto& sink) {
    hit(sink, parent.pid(), address_);
    fork(sink, child.pid(), parent.pid());
    exit(sink, parent.pid());
  });
  EXPECT_EQ(sink_.hits, 1);
  EXPECT_EQ(machine_->removed, 0) << "the child has it still";
}

TEST_F(FileCollectorTest, ChildOfAProcessThatEndedUnseenIsLookedAt) {
  ASSERT_TRUE(install().has_value());
  drain([&](auto& sink) { exit(sink, pid_); });
  const Child parent;
  const Child child;
  parent.end();
  drain([&](auto& sink) { map_code(sink, parent.pid()); });
  EXPECT_EQ(machine_->added, 1);
  drain([&](auto& sink) {
    fork(sink, child.pid(), parent.pid());
    exit(sink, parent.pid());
  });
  EXPECT_EQ(machine_->added, 2);
}

TEST_F(FileCollectorTest, HitInCodeThatWasMappedJustNowIsReported) {
  ASSERT_TRUE(install().has_value());
  const Child child;
  drain([&](auto& sink) { map_code(sink, stranger_); });
  // Nothing is known of the child but that it began without the file.
  drain([&](auto& sink) { fork(sink, child.pid(), stranger_); });
  drain([&](auto& sink) { hit(sink, child.pid(), address_); });
  ASSERT_EQ(sink_.hits, 0);
  drain([&](auto& sink) {
    map_code(sink, child.pid());
    hit(sink, child.pid(), address_);
  });
  EXPECT_EQ(sink_.hits, 1);
}

// The collector bpf tells of an exec after the program is mapped, perf before.
TEST_F(FileCollectorTest, ProgramThatWasMappedBeforeItsExecIsToldIsWatched) {
  ASSERT_TRUE(install().has_value());
  drain([&](auto& sink) { exit(sink, pid_); });
  drain([&](auto& sink) { map_code(sink, pid_); });
  drain([&](auto& sink) { execute(sink, pid_); });
  EXPECT_EQ(machine_->added - machine_->removed, 1);
}

TEST_F(FileCollectorTest, ChildOfAProcessThatWasRefusedIsTriedAgainToo) {
  ASSERT_NO_FATAL_FAILURE(be_refused());
  const Child child;
  drain([&](auto& sink) { fork(sink, child.pid(), pid_); });
  drain([](auto& sink) { sink.on_cpu({.cpu = CpuId{1}}); });
  EXPECT_EQ(machine_->added, 2);
  drain([&](auto& sink) { hit(sink, child.pid(), address_); });
  EXPECT_EQ(sink_.hits, 1);
  drain([&](auto& sink) { exit(sink, pid_); });
  EXPECT_EQ(machine_->removed, 1) << "the child has it still";
}

// Until a refusal does not hold for other addresses any more.
constexpr unsigned kPastRefusalMicroseconds = 1'050'000;

TEST_F(FileCollectorTest, HitsOfOneRefusedBeforeCountWhereAnotherHasTheWatch) {
  ASSERT_NO_FATAL_FAILURE(be_refused());
  ::usleep(kPastRefusalMicroseconds);
  const Child child;
  drain([&](auto& sink) {
    map_code(sink, child.pid());
    hit(sink, child.pid(), address_);
    // It has the watch now that it was refused.
    hit(sink, pid_, address_);
  });
  EXPECT_EQ(machine_->added, 2);
  EXPECT_EQ(sink_.hits, 2);
}

TEST_F(FileCollectorTest, ProcessRefusedBeforeIsTriedAgainAfterASuccessElsewhere) {
  ASSERT_NO_FATAL_FAILURE(be_refused());
  ::usleep(kPastRefusalMicroseconds);
  const Child child;
  drain([&](auto& sink) { map_code(sink, child.pid()); });
  EXPECT_EQ(machine_->added, 2);
  drain([&](auto& sink) { exit(sink, child.pid()); });
  EXPECT_EQ(machine_->removed, 1) << "the one refused before has it as well";
}

}  // namespace
}  // namespace trapline::command
