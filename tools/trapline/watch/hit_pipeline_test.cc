// The pipeline about this very process: its image is real, the hits are made up.
#include "tools/trapline/watch/hit_pipeline.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decode/fake_memory.h"
#include "ports/linux/proc_fs.h"

// With a symbol of its own under every sanitizer, and so far into .bss that no page of the file
// reaches there.
struct {
  char before[1 << 20];
  int word;
} hit_pipeline_test_data;

namespace trapline::command {
namespace {

using decode::testing::FakeMemory;
using linux_port::CpuEvent;
using linux_port::TargetEvent;

class RecordingReporter final : public report::Reporter {
 public:
  Result<void> start(const report::WatchStart&) override { return {}; }
  Result<void> hit(const report::HitView& view) override {
    hits.push_back(view.hit);
    stacks.push_back(view.stack);
    names.push_back(view.names);
    return {};
  }
  Result<void> open_tally(const report::HitView& like) override {
    opened.push_back(like.tally);
    return {};
  }
  Result<void> tally(const report::TallyView& tally) override {
    tallies.push_back(tally);
    return {};
  }
  Result<void> lost(std::uint64_t) override { return {}; }
  Result<void> cpu(const report::CpuEventView& event) override {
    cpus.push_back(event);
    reasons.emplace_back(event.reason);
    return {};
  }
  Result<void> end(const report::WatchEnd&) override { return {}; }
  Result<void> flush() override { return {}; }

  std::vector<Hit> hits;  // their callers are gone
  std::vector<report::ResolvedStack> stacks;
  std::vector<symbols::AddressNames*> names;
  std::vector<std::uint64_t> opened;  // tallies without their hits
  std::vector<report::TallyView> tallies;
  std::vector<report::CpuEventView> cpus;  // their reasons are gone
  std::vector<std::string> reasons;
};

class HitPipelineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto image = symbols::ProcessImage::open(pid_);
    ASSERT_TRUE(image) << image.error().message;
    views_ = std::make_unique<ProcessViews>(std::move(*image));
    object_.request = {RemoteAddress(0x7000), ByteCount{4}, Access::write};
    pipeline_ = std::make_unique<HitPipeline>(
        HitPipeline::Parts{options_, object_, pid_, *views_, reporter_});
  }
  // Instead: of the whole machine.
  void watch_machine(MemoryReader* kernel_memory) {
    views_ = std::make_unique<ProcessViews>(kernel_memory);
    pipeline_ = std::make_unique<HitPipeline>(
        HitPipeline::Parts{options_, object_, std::nullopt, *views_, reporter_});
  }

  [[nodiscard]] linux_port::Sample sample_of(ProcessId pid) const {
    linux_port::Sample sample;
    sample.hit.pid = pid;
    sample.hit.address = object_.request.address;
    sample.hit.length = object_.request.length;
    sample.is_newest = false;
    return sample;
  }
  // What the collector saw after a write by `pid`.
  void write(std::uint64_t value, ProcessId pid, std::uint64_t tally = 0) {
    linux_port::Sample sample = sample_of(pid);
    sample.tally = tally;
    sample.hit.new_value = {value, Certainty::exact};
    pipeline_->on_sample(sample);
  }
  void cpu_comes_online(std::uint64_t time, std::uint64_t gap, const std::string& obstacle = "") {
    pipeline_->on_cpu({.cpu = CpuId{1},
                       .kind = CpuEvent::Kind::online,
                       .time = Nanoseconds{time},
                       .gap = Nanoseconds{gap},
                       .reinstall = Nanoseconds{3},
                       .watched = obstacle.empty(),
                       .reason = obstacle});
  }
  void cpu_goes_offline(std::uint64_t time) {
    pipeline_->on_cpu(
        {.cpu = CpuId{1}, .kind = CpuEvent::Kind::offline, .time = Nanoseconds{time}});
  }

  const ProcessId pid_{::getpid()};
  const ProcessId child_{pid_.value + 1};
  WatchOptions options_;
  WatchedObject object_;
  RecordingReporter reporter_;
  std::unique_ptr<ProcessViews> views_;
  std::unique_ptr<HitPipeline> pipeline_;
};

TEST_F(HitPipelineTest, ValuesAreNotCarriedAcrossAGap) {
  views_->set_sees_all_writers(true);
  write(5, pid_);
  write(6, pid_);
  pipeline_->on_gap();
  write(8, pid_);
  ASSERT_EQ(reporter_.hits.size(), 3U);
  EXPECT_EQ(reporter_.hits[1].old_value, (MemoryValue{5, Certainty::exact}));
  EXPECT_EQ(reporter_.hits[2].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[2].new_value, (MemoryValue{8, Certainty::exact}));
}

// Some collectors see what memory held before, some after, some both.
TEST_F(HitPipelineTest, ValuesThatAreNotWantedAreLeftOut) {
  options_.values = false;
  linux_port::Sample sample = sample_of(pid_);
  sample.hit.old_value = {5, Certainty::exact};
  sample.hit.new_value = {6, Certainty::exact};
  pipeline_->on_sample(sample);
  ASSERT_EQ(reporter_.hits.size(), 1U);
  EXPECT_EQ(reporter_.hits[0].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[0].new_value, MemoryValue{});
}

TEST_F(HitPipelineTest, ConditionsRejectAndCountsAddUp) {
  object_.conditions = {*type_condition(*parse_condition("new > 5"), {ByteCount{4}, true})};
  write(5, pid_);
  write(6, pid_);
  pipeline_->on_rejected(7);
  EXPECT_EQ(pipeline_->totals({}).hits, 1U);
  EXPECT_EQ(pipeline_->totals({}).filtered, 8U);
}

TEST_F(HitPipelineTest, WhereReadsAndWritesAreWatchedTogetherWhatIsNotKnownIsShown) {
  linux_port::Sample sample = sample_of(pid_);
  sample.hit.access = Access::read_write;  // as the collector had to ask; a write is wanted
  pipeline_->on_sample(sample);
  ASSERT_EQ(reporter_.hits.size(), 1U);
  EXPECT_EQ(reporter_.hits[0].access, Access::read_write);
  EXPECT_EQ(pipeline_->totals({}).filtered, 0U);
}

TEST_F(HitPipelineTest, OldValueIsNotCarriedAcrossHitsThatWereRejected) {
  object_.conditions = {*type_condition(*parse_condition("changed"), {ByteCount{4}, true})};
  views_->set_sees_all_writers(true);
  write(5, pid_);
  linux_port::Sample sample = sample_of(pid_);
  sample.hit.new_value = {5, Certainty::exact};
  sample.follows_undelivered = true;
  pipeline_->on_sample(sample);
  ASSERT_EQ(reporter_.hits.size(), 2U) << "it may have been something else in between";
  EXPECT_EQ(reporter_.hits[1].old_value, MemoryValue{});
  EXPECT_EQ(pipeline_->totals({}).undecided, 2U);
}

TEST_F(HitPipelineTest, RejectionsAfterTheLastHitWantedAreNotCounted) {
  options_.max_hits = 1;
  write(5, pid_);
  pipeline_->on_rejected(7);
  EXPECT_EQ(pipeline_->totals({}).filtered, 0U);
}

TEST_F(HitPipelineTest, TalliedHitsCountWhateverBecomesOfTheOneThatTheyAreLike) {
  object_.conditions = {*type_condition(*parse_condition("new==7"), ValueShape{ByteCount{8}})};
  write(7, pid_, 1);
  write(8, pid_, 2);  // the collector saw another thread's 7
  write(8, pid_);
  EXPECT_EQ(reporter_.hits.size(), 1U);
  EXPECT_EQ(reporter_.opened, std::vector<std::uint64_t>{2});
  for (const std::uint64_t number : {std::uint64_t{1}, std::uint64_t{2}})
    pipeline_->on_tally({.number = number, .count = 10});
  EXPECT_EQ(reporter_.tallies.size(), 2U);
  EXPECT_EQ(pipeline_->totals({}).hits, 21U);
  EXPECT_EQ(pipeline_->totals({}).filtered, 2U);
}

// Bits 3 to 7 of one byte, signed.
TEST_F(HitPipelineTest, BitFieldIsReportedAndJudgedByItsOwnValue) {
  object_.request.length = ByteCount{1};
  object_.type = {symbols::ValueKind::signed_integer, ByteCount{1}, "int : 5", true};
  object_.type.bits = symbols::BitRange{3, 5};
  const ValueShape byte{ByteCount{1}, true};
  object_.conditions = {*type_condition(*parse_condition("new==-10"), byte),
                        *type_condition(*parse_condition("changed"), byte)};
  views_->set_sees_all_writers(true);
  write(0b00001'000, pid_);
  write(0b10110'101, pid_);
  write(0b10110'010, pid_);  // its neighbour's bits
  ASSERT_EQ(reporter_.hits.size(), 1U);
  const auto is_minus_ten = static_cast<std::uint64_t>(-10);
  EXPECT_EQ(reporter_.hits[0].old_value, (MemoryValue{1, Certainty::exact}));
  EXPECT_EQ(reporter_.hits[0].new_value, (MemoryValue{is_minus_ten, Certainty::exact}));
  EXPECT_EQ(pipeline_->totals({}).filtered, 2U);
}

TEST_F(HitPipelineTest, ReportersCanAskWhatPointersPointTo) {
  write(1, pid_);
  ASSERT_EQ(reporter_.names.size(), 1U);
  ASSERT_NE(reporter_.names[0], nullptr);
  const auto name =
      reporter_.names[0]->name_at(RemoteAddress::of_local(&hit_pipeline_test_data.word));
  ASSERT_TRUE(name);
  EXPECT_TRUE(name->symbol.ends_with("hit_pipeline_test_data")) << name->symbol;
}

TEST_F(HitPipelineTest, ExecEndsAWatchOfOneProcess) {
  pipeline_->on_event({.kind = TargetEvent::Kind::executed, .pid = pid_});
  EXPECT_TRUE(pipeline_->finished());
  write(5, child_);
  EXPECT_TRUE(reporter_.hits.empty());
}

TEST_F(HitPipelineTest, ExecLeavesTheChildrenWatched) {
  options_.follow_children = true;
  pipeline_->on_event({.kind = TargetEvent::Kind::executed, .pid = pid_});
  EXPECT_FALSE(pipeline_->finished());
  EXPECT_TRUE(pipeline_->image_is_replaced());
  write(5, child_);
  EXPECT_EQ(reporter_.hits.size(), 1U);
  EXPECT_EQ(pipeline_->totals({}).hits, 1U);
}

TEST_F(HitPipelineTest, HitsThatCouldNotBeCountedAreTold) {
  EXPECT_FALSE(pipeline_->totals({}).lost_is_lower_bound);
  pipeline_->on_lost_uncounted();
  EXPECT_TRUE(pipeline_->totals({}).lost_is_lower_bound);
}

TEST_F(HitPipelineTest, CpuEventsAreReportedAndAddedUp) {
  cpu_goes_offline(100);
  cpu_comes_online(200, 7);
  cpu_goes_offline(300);
  cpu_comes_online(400, 5, "no register is free");
  ASSERT_EQ(reporter_.cpus.size(), 4U);
  EXPECT_EQ(reporter_.cpus[0].cpu, CpuId{1});
  EXPECT_FALSE(reporter_.cpus[0].is_online);
  EXPECT_EQ(reporter_.cpus[0].time, Nanoseconds{100});
  EXPECT_TRUE(reporter_.cpus[1].is_online);
  EXPECT_EQ(reporter_.cpus[1].gap, Nanoseconds{7});
  EXPECT_EQ(reporter_.cpus[1].reinstall, Nanoseconds{3});
  EXPECT_TRUE(reporter_.cpus[1].watched);
  EXPECT_FALSE(reporter_.cpus[3].watched);
  EXPECT_EQ(reporter_.reasons[3], "no register is free");
  EXPECT_EQ(pipeline_->totals(Nanoseconds{1000}).cpu_changes, 4U);
  EXPECT_EQ(pipeline_->totals(Nanoseconds{1000}).gap, Nanoseconds{7 + 605});
}

TEST_F(HitPipelineTest, ValuesAreNotCarriedAcrossTheGapOfACpu) {
  views_->set_sees_all_writers(true);
  write(5, pid_);
  cpu_goes_offline(100);
  write(6, pid_);
  cpu_comes_online(200, 7);
  write(8, pid_);
  cpu_comes_online(300, 0);
  write(9, pid_);
  ASSERT_EQ(reporter_.hits.size(), 4U);
  EXPECT_EQ(reporter_.hits[1].old_value, (MemoryValue{5, Certainty::exact}))
      << "a CPU that is offline writes nothing";
  EXPECT_EQ(reporter_.hits[2].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[3].old_value, (MemoryValue{8, Certainty::exact}));
}

TEST_F(HitPipelineTest, ValuesAreNotCarriedFromHitToHitWhileACpuIsNotWatched) {
  views_->set_sees_all_writers(true);
  cpu_comes_online(200, 7, "no register is free");
  write(5, pid_);
  write(6, pid_);
  cpu_goes_offline(300);
  write(7, pid_);
  write(8, pid_);
  ASSERT_EQ(reporter_.hits.size(), 4U);
  EXPECT_EQ(reporter_.hits[1].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[2].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[3].old_value, (MemoryValue{7, Certainty::exact}));
}

TEST_F(HitPipelineTest, OneAddressInTwoProcessesIsTwoStacks) {
  watch_machine(nullptr);
  for (const ProcessId pid : {pid_, child_, pid_}) write(5, pid);
  ASSERT_EQ(reporter_.stacks.size(), 3U);
  EXPECT_NE(reporter_.stacks[0].id, reporter_.stacks[1].id);
  EXPECT_EQ(reporter_.stacks[0].id, reporter_.stacks[2].id);
}

TEST_F(HitPipelineTest, KernelsOwnStackIsOneInAllProcesses) {
  FakeMemory memory;
  watch_machine(&memory);
  for (const ProcessId pid : {pid_, child_, ProcessId{0}}) {
    linux_port::Sample sample = sample_of(pid);
    sample.hit.in_kernel = true;
    sample.hit.trap_ip = RemoteAddress(0xffff'ffff'8100'0010);
    pipeline_->on_sample(sample);
  }
  ASSERT_EQ(reporter_.stacks.size(), 3U);
  EXPECT_EQ(reporter_.stacks[0].id, reporter_.stacks[1].id);
  EXPECT_EQ(reporter_.stacks[0].id, reporter_.stacks[2].id);
  ASSERT_EQ(reporter_.stacks[0].frames.size(), 1U);
  EXPECT_NE(reporter_.stacks[0].frames[0].module, "");
}

TEST_F(HitPipelineTest, HitOfAProcessThatIsGoneHasAddressesWithoutNames) {
  watch_machine(nullptr);
  constexpr ProcessId kNobody{-1};
  linux_port::Sample sample = sample_of(kNobody);
  sample.hit.trap_ip = RemoteAddress(0x401000);
  const std::vector<RemoteAddress> callers{RemoteAddress(0x402000)};
  sample.hit.callers = callers;
  pipeline_->on_sample(sample);
  EXPECT_FALSE(pipeline_->finished());
  ASSERT_EQ(reporter_.stacks.size(), 1U);
  ASSERT_EQ(reporter_.stacks[0].frames.size(), 2U);
  EXPECT_EQ(reporter_.stacks[0].frames[0].ip, RemoteAddress(0x401000));
  EXPECT_EQ(reporter_.stacks[0].frames[1].ip, RemoteAddress(0x402000));
  EXPECT_EQ(reporter_.stacks[0].frames[1].symbol, "");
  EXPECT_EQ(reporter_.names[0], nullptr);
}

TEST_F(HitPipelineTest, ProgramIsLookedUpAgainAfterAGapWithAnExec) {
  watch_machine(nullptr);
  int program[2];
  ASSERT_EQ(::pipe2(program, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char go = 0;
    if (::read(program[0], &go, 1) == 1) ::execl("/bin/sleep", "sleep", "1000", nullptr);
    ::_exit(1);
  }
  const ProcessId pid{child};
  const std::string before = linux_port::executable_path(pid);
  const std::uint64_t number = views_->of(pid).number();
  EXPECT_EQ(::write(program[1], "x", 1), 1);
  while (linux_port::executable_path(pid) == before) ::usleep(1000);
  pipeline_->on_gap();
  EXPECT_NE(views_->of(pid).number(), number);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(program[0]);
  ::close(program[1]);
}

TEST_F(HitPipelineTest, NoProcesssEndIsTheEndOfAWatchOfTheMachine) {
  watch_machine(nullptr);
  write(5, pid_);
  pipeline_->on_event({.kind = TargetEvent::Kind::executed, .pid = pid_});
  pipeline_->on_event({.kind = TargetEvent::Kind::process_exited, .pid = pid_, .wait_status = 0});
  EXPECT_FALSE(pipeline_->finished());
  EXPECT_FALSE(pipeline_->wait_status());
  write(6, pid_);
  EXPECT_EQ(reporter_.hits.size(), 2U);
}

}  // namespace
}  // namespace trapline::command
