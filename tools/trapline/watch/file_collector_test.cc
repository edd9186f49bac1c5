// About this very process and a variable of its own program; the machine is made up.
#include "tools/trapline/watch/file_collector.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace trapline::command {
namespace {

using linux_port::TargetEvent;

std::uint32_t watched_word = 41;

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
  void on_sample(const linux_port::Sample& sample) override { initial = sample.initial; }
  void on_event(const TargetEvent& /*event*/) override {}
  void on_lost(std::uint64_t /*count*/) override {}

  MemoryValue initial;
};

class FileCollectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = symbols::identify_file("/proc/self/exe");
    ASSERT_TRUE(file) << file.error().message;
    const auto starts = symbols::find_mappings_in(*file, pid_);
    ASSERT_EQ(starts.size(), 1U);
    if (!file->is_position_independent) GTEST_SKIP() << "this program has a fixed address";
    symbols::FileVariable variable;
    variable.offset_from_load = (address_ - starts.front()).value;
    variable.length = ByteCount{4};
    auto machine = std::make_unique<FakeMachine>();
    machine_ = machine.get();
    collector_ =
        std::make_unique<FileCollector>(std::move(machine), FileObject{*std::move(file), variable},
                                        Request{address_, ByteCount{4}, Access::write});
  }
  Result<linux_port::InstallReport> install() {
    return collector_->install({.pid = {}, .whole_machine = true}, Plan{}, {});
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

  const ProcessId pid_{::getpid()};
  const RemoteAddress address_ = RemoteAddress::of_local(&watched_word);
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
    sink.on_event({.kind = TargetEvent::Kind::process_forked, .pid = child, .parent = pid_});
    hit(sink, child, address_);
  });
  EXPECT_EQ(sink_.initial, MemoryValue{});
}

TEST_F(FileCollectorTest, WhatWasRefusedIsTriedAgainWhenACpuChanges) {
  ASSERT_TRUE(install().has_value());
  drain(
      [&](auto& sink) { sink.on_event({.kind = TargetEvent::Kind::process_exited, .pid = pid_}); });
  EXPECT_EQ(machine_->removed, 1);
  machine_->refuses = true;
  drain([&](auto& sink) { sink.on_event({.kind = TargetEvent::Kind::code_mapped, .pid = pid_}); });
  machine_->refuses = false;
  drain([](auto&) {});
  EXPECT_EQ(machine_->added, 1);
  drain([](auto& sink) { sink.on_cpu({.cpu = CpuId{1}}); });
  EXPECT_EQ(machine_->added, 2);
}

TEST_F(FileCollectorTest, LostRecordsMakeItLookAtAllProcesses) {
  ASSERT_TRUE(install().has_value());
  const ProcessId gone{-1};
  drain([&](auto& sink) {
    sink.on_event({.kind = TargetEvent::Kind::process_forked, .pid = gone, .parent = pid_});
    sink.on_event({.kind = TargetEvent::Kind::process_exited, .pid = pid_});
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

}  // namespace
}  // namespace trapline::command
