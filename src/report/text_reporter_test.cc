#include "report/text_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "report/test_support.h"

namespace trapline::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TextReporterTest : public ::testing::Test {
 protected:
  void begin(TextReporter::Style style = {}, const WatchStart& start = sample_start()) {
    reporter_.emplace(records_, remarks_, style);
    ASSERT_TRUE(reporter_->start(start));
  }
  void report(const SampleHit& sample) { ASSERT_TRUE(reporter_->hit(sample.view())); }
  std::string hits() {
    EXPECT_TRUE(reporter_->flush());
    return records_file_.text();
  }
  [[nodiscard]] std::string remarks() const { return remarks_file_.text(); }

  MemoryFile records_file_;
  MemoryFile remarks_file_;
  Output records_ = Output::borrow(records_file_.descriptor(), "hits");
  Output remarks_ = Output::borrow(remarks_file_.descriptor(), "remarks");
  std::optional<TextReporter> reporter_;
};

TEST_F(TextReporterTest, HeaderSaysWhatIsWatchedAndHow) {
  WatchStart start = sample_start();
  start.notes = {"no debug information for libx.so", "reads are not told from writes"};
  begin({}, start);
  EXPECT_EQ(remarks(),
            "watching writes of counter (int, 4 bytes at 0x404060) in app (pid 10, 4 threads); "
            "collector perf, 1 debug register, 2 CPUs\n"
            "  note: no debug information for libx.so\n"
            "  note: reads are not told from writes\n");
  EXPECT_EQ(hits(), "");
}

TEST_F(TextReporterTest, HeaderOfAFunctionHasNoLength) {
  WatchStart start = sample_start();
  start.expression = "bump";
  start.request = {RemoteAddress(0x401180), ByteCount{1}, Access::execute};
  start.type.name = "function";
  begin({}, start);
  EXPECT_THAT(remarks(), HasSubstr("watching calls of bump (at 0x401180) in app"));
}

TEST_F(TextReporterTest, HitIsOneLineWithItsCallersBelow) {
  begin();
  report(SampleHit());
  EXPECT_EQ(hits(),
            "    0.500000  app/11        cpu 1  41 -> 42  bump+0xc at app.c:42  "
            "[mov dword ptr [rip + 0x2ef2], eax]  #1\n"
            "              from worker+0x20 at app.c:60\n");
}

TEST_F(TextReporterTest, CallersAreRepeatedOnlyWhereTheThreadsStackChanged) {
  begin();
  SampleHit first;
  SampleHit second;
  second.stack.id = 2;
  SampleHit other_thread;
  other_thread.hit.tid = ThreadId{12};
  for (const SampleHit* sample : {&first, &first, &other_thread, &first, &second, &first})
    report(*sample);
  const std::string expected_order = "#1|from|#1|#1|from|#1|#2|from|#1|from|";
  std::string order;
  std::istringstream lines(hits());
  for (std::string line; std::getline(lines, line);) {
    order += line.starts_with("              from") ? "from" : line.substr(line.rfind('#'));
    order += '|';
  }
  EXPECT_EQ(order, expected_order);
}

TEST_F(TextReporterTest, WithoutStacksThereIsNeitherMarkNorCaller) {
  begin({.colour = false, .show_callers = false});
  report(SampleHit());
  EXPECT_THAT(hits(), Not(HasSubstr("#1")));
  EXPECT_THAT(hits(), Not(HasSubstr("from")));
}

TEST_F(TextReporterTest, ValuesThatAreNotCertainAreMarked) {
  begin();
  SampleHit sample;
  sample.hit.old_value = {};
  sample.hit.new_value.certainty = Certainty::approximate;
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("  ? -> ~42  bump"));
}

TEST_F(TextReporterTest, PartOfASplitWatchThatWasHitIsNamed) {
  WatchStart start = sample_start();
  start.request = {RemoteAddress(0x404058), ByteCount{16}, Access::write};
  start.slots = 2;
  begin({}, start);
  SampleHit sample;
  sample.hit.length = ByteCount{8};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  +8:8  "));
}

// struct { int a, b, c, d; } four, in two slots.
WatchStart four_start() {
  WatchStart start = sample_start();
  start.expression = "four";
  start.request.length = ByteCount{16};
  start.type = structure_type(16, {{"a", {}, number_type(4)},
                                   {"b", ByteCount{4}, number_type(4)},
                                   {"c", ByteCount{8}, number_type(4)},
                                   {"d", ByteCount{12}, number_type(4)}});
  start.slots = 2;
  return start;
}

// A write of c and d.
SampleHit second_half_hit(std::uint64_t old_value, std::uint64_t new_value) {
  SampleHit sample;
  sample.hit.address = RemoteAddress(0x404068);
  sample.hit.length = ByteCount{8};
  sample.hit.old_value.bits = old_value;
  sample.hit.new_value.bits = new_value;
  return sample;
}

TEST_F(TextReporterTest, MemberThatWasAccessedIsNamedAndShownAlone) {
  begin({}, four_start());
  SampleHit sample = second_half_hit(0x2'0000'0001, 0x2'0000'0005);
  sample.accessed = AccessedBytes{RemoteAddress(0x404068), ByteCount{4}};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  four.c  1 -> 5  bump"));
}

TEST_F(TextReporterTest, WhatElseChangedBesideTheMemberIsShownToo) {
  begin({}, four_start());
  SampleHit sample = second_half_hit(0x2'0000'0001, 0x3'0000'0005);
  sample.accessed = AccessedBytes{RemoteAddress(0x404068), ByteCount{4}};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  four.c  {c = 1, d = 2} -> {c = 5, d = 3}  bump"));
}

TEST_F(TextReporterTest, AccessToSeveralMembersIsToldByTheSlot) {
  begin({}, four_start());
  report(second_half_hit(0x2'0000'0001, 0x3'0000'0005));
  EXPECT_THAT(hits(), HasSubstr("cpu 1  +8:8  {c = 1, d = 2} -> {c = 5, d = 3}  bump"));
}

TEST_F(TextReporterTest, AccessThatBeginsInTheSlotBeforeIsOfThisSlotsMembers) {
  begin({}, four_start());
  SampleHit sample = second_half_hit(0x2'0000'0001, 0x2'0000'0005);
  sample.accessed = AccessedBytes{RemoteAddress(0x404064), ByteCount{8}};  // b and c
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  four.c  1 -> 5  bump"));
}

TEST_F(TextReporterTest, ObjectThatLiesElsewhereInAnotherProcessHasTheSameMembers) {
  begin({}, four_start());
  SampleHit sample = second_half_hit(0x2'0000'0001, 0x2'0000'0005);
  sample.object_start = RemoteAddress(0x7f0000001000);
  sample.hit.address = RemoteAddress(0x7f0000001008);
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  +8:8  {c = 1, d = 2} -> {c = 5, d = 2}  bump"));
  sample.accessed = AccessedBytes{RemoteAddress(0x7f000000100c), ByteCount{4}};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  four.d  {c = 1, d = 2} -> {c = 5, d = 2}  bump"));
}

TEST_F(TextReporterTest, SlotOutsideOfTheObjectIsBytes) {
  begin({}, four_start());
  SampleHit sample = second_half_hit(1, 2);
  sample.hit.address = RemoteAddress(0x504068);
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("01 00 00 00 00 00 00 00 -> 02 00 00 00 00 00 00 00  bump"));
}

TEST_F(TextReporterTest, SmallObjectIsShownWholeWithTheMemberThatWasAccessed) {
  WatchStart start = sample_start();
  start.expression = "*pair";
  start.type = structure_type(4, {{"x", {}, number_type(2)}, {"y", ByteCount{2}, number_type(2)}});
  begin({}, start);
  SampleHit sample;
  sample.hit.old_value.bits = 0x0002'0001;
  sample.hit.new_value.bits = 0x0003'0001;
  sample.accessed = AccessedBytes{RemoteAddress(0x404062), ByteCount{2}};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  pair->y  {x = 1, y = 2} -> {x = 1, y = 3}  bump"));
}

TEST_F(TextReporterTest, ApproximateNamesAreMarkedAsNumbersAre) {
  WatchStart start = sample_start();
  start.type = enumeration_type(4, {{"idle", 41}, {"running", 42}});
  begin({}, start);
  SampleHit sample;
  sample.hit.new_value.certainty = Certainty::approximate;
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  idle -> ~running  bump"));
}

TEST_F(TextReporterTest, PointerIsShownWithWhatItPointsTo) {
  WatchStart start = sample_start();
  start.request.length = ByteCount{8};
  start.type = pointer_type();
  begin({}, start);
  FakeNames names;
  names.add(0x404010, 64, "table");
  SampleHit sample;
  sample.names = &names;
  sample.hit.length = ByteCount{8};
  sample.hit.old_value.bits = 0;
  sample.hit.new_value.bits = 0x404020;
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  0x0 -> 0x404020 <table+16>  bump"));
}

TEST_F(TextReporterTest, HitWithoutValuesHasNoArrow) {
  begin();
  SampleHit sample;
  sample.hit.old_value = {};
  sample.hit.new_value = {};
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("cpu 1  bump+0xc"));
}

TEST_F(TextReporterTest, UnknownInstructionIsSaidNotGuessed) {
  begin();
  SampleHit sample;
  sample.ip.reset();
  sample.instruction.clear();
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("before bump+0xc at app.c:42  [instruction unknown]"));
}

TEST_F(TextReporterTest, PlaceWithoutAnyNameIsAnAddress) {
  begin();
  SampleHit sample;
  sample.stack.frames = {{RemoteAddress(0x401188), "", 0, "", 0, "", false}};
  report(sample);
  sample.stack.frames.clear();
  sample.stack.id = 2;
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("42  0x401188  [mov dword ptr [rip + 0x2ef2], eax]  #1\n"));
  EXPECT_THAT(hits(), HasSubstr("42  0x401188  [mov dword ptr [rip + 0x2ef2], eax]  #2\n"));
}

TEST_F(TextReporterTest, KernelsAccessInlinedFramesAndModulesAreMarked) {
  begin();
  SampleHit sample;
  sample.hit.in_kernel = true;
  sample.ip.reset();
  sample.instruction.clear();
  sample.stack.frames = {
      {RemoteAddress(0xffffffff81000010), "copy_to_user", 16, "", 0, "", false},
      {RemoteAddress(0x401190), "fill", 0, "/src/io.c", 7, "app", true},
      {RemoteAddress(0x401190), "main", 32, "", 0, "app", false},
  };
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("kernel: copy_to_user+0x10  #1\n"
                                "              from fill (inlined) at io.c:7\n"
                                "              from main+0x20 in app\n"));
}

TEST_F(TextReporterTest, ThreadWithoutAKnownNameHasAMarkInItsPlace) {
  begin();
  SampleHit sample;
  set_comm(sample.hit, "");
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("  ?/11  "));
}

TEST_F(TextReporterTest, ColumnsGrowWithTheirTextAndDoNotShrink) {
  begin();
  SampleHit sample;
  set_comm(sample.hit, "a-long-name-15c");
  report(sample);
  set_comm(sample.hit, "app");
  sample.hit.old_value.bits = 7;
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("  a-long-name-15c/11  cpu 1  41 -> 42  bump"));
  EXPECT_THAT(hits(), HasSubstr("  app/11              cpu 1  7 -> 42   bump"));
}

TEST_F(TextReporterTest, ForeignTextCannotBreakTheLineOrReachTheTerminal) {
  begin();
  SampleHit sample;
  set_comm(sample.hit, "a\n\x1b[2J\xff");
  sample.stack.frames[0].symbol = "bump\x1b[1m";
  sample.stack.frames[0].file = "/src/\n.c";
  report(sample);
  const std::string text = hits();
  EXPECT_THAT(text, HasSubstr("a??[2J?/11"));
  EXPECT_THAT(text, HasSubstr("bump?[1m+0xc at ?.c:42"));
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(TextReporterTest, ColoursAreUsedOnlyWhenAskedFor) {
  begin({.colour = true, .show_callers = true});
  report(SampleHit());
  EXPECT_THAT(hits(), HasSubstr("\x1b[1m41 -> 42\x1b[0m  \x1b[32mbump+0xc at app.c:42\x1b[0m"));
}

TEST_F(TextReporterTest, TimesCountFromTheFirstHitWhenTheStartIsNotKnown) {
  WatchStart start = sample_start();
  start.began.reset();
  begin({}, start);
  SampleHit sample;
  report(sample);
  sample.hit.time.value -= 1'000;  // another CPU's hit, delivered late
  report(sample);
  EXPECT_THAT(hits(), HasSubstr("    0.000000  app"));
  EXPECT_THAT(hits(), HasSubstr("   -0.000001  app"));
}

TEST_F(TextReporterTest, LossIsRemarkedAfterTheHitsBeforeIt) {
  begin();
  report(SampleHit());
  ASSERT_TRUE(reporter_->lost(2));
  ASSERT_TRUE(reporter_->lost(1));
  EXPECT_THAT(records_file_.text(), HasSubstr("bump"));  // written, although nobody flushed
  EXPECT_THAT(remarks(), HasSubstr("2 hits lost: they came faster than they could be read\n"
                                   "1 hit lost: they came"));
}

TEST_F(TextReporterTest, CpuEventsAreRemarkedAtTheirTimeAfterTheHitsBeforeThem) {
  begin();
  report(SampleHit());
  ASSERT_TRUE(reporter_->cpu(sample_offline()));
  EXPECT_THAT(records_file_.text(), HasSubstr("bump"));
  ASSERT_TRUE(reporter_->cpu(sample_online()));
  ASSERT_TRUE(reporter_->cpu(sample_unwatched()));
  EXPECT_THAT(remarks(),
              HasSubstr("\n    0.600000  cpu 1 went offline\n"
                        "    0.700000  cpu 1 is online; not watched for at most 0.812 ms (set "
                        "0.640 ms after the kernel's event)\n"
                        "    0.700000  cpu 1 is online and not watched, hits on it are missed: "
                        "all 4 debug registers of CPU 1 are taken\n"));
}

TEST_F(TextReporterTest, TimesCountFromACpuEventThatComesFirstWhenTheStartIsNotKnown) {
  WatchStart start = sample_start();
  start.began.reset();
  begin({}, start);
  ASSERT_TRUE(reporter_->cpu(sample_offline()));
  EXPECT_THAT(remarks(), HasSubstr("    0.000000  cpu 1 went offline\n"));
}

TEST_F(TextReporterTest, CpuThatStayedOnlineIsWatchedAgain) {
  begin();
  CpuEventView event = sample_online();
  event.cpu_was_offline = false;
  ASSERT_TRUE(reporter_->cpu(event));
  EXPECT_THAT(remarks(), HasSubstr("cpu 1 is watched again; it was online and not watched for at "
                                   "most 0.812 ms\n"));
}

TEST_F(TextReporterTest, GapsAreRoundedUp) {
  begin();
  CpuEventView event = sample_online();
  event.gap = Nanoseconds{1};
  ASSERT_TRUE(reporter_->cpu(event));
  EXPECT_THAT(remarks(), HasSubstr("at most 0.001 ms"));
  event.gap = Nanoseconds{999'999'999};
  ASSERT_TRUE(reporter_->cpu(event));
  EXPECT_THAT(remarks(), HasSubstr("at most 1000.000 ms"));
  event.gap = Nanoseconds{1'000'000'001};
  ASSERT_TRUE(reporter_->cpu(event));
  EXPECT_THAT(remarks(), HasSubstr("at most 1.001 s"));
}

TEST_F(TextReporterTest, EndSumsUp) {
  begin({}, sample_start());
  ASSERT_TRUE(reporter_->end(sample_end()));
  EXPECT_THAT(remarks(), HasSubstr("\n100 hits, 0 lost in 1.000 s: interrupted\n"));
}

TEST_F(TextReporterTest, EndTellsWhatWasNotSeenAndNotJudged) {
  begin();
  WatchEnd end = sample_end();
  end.hits = 1;
  end.lost = 3;
  end.filtered = 7;
  end.undecided = 2;
  end.cpu_changes = 4;
  end.gap = Nanoseconds{1'624'000};
  ASSERT_TRUE(reporter_->end(end));
  EXPECT_THAT(
      remarks(),
      HasSubstr(
          "\n1 hit, 3 lost, 7 rejected by --when, 2 shown because --when could not be "
          "decided, 4 CPU changes, unwatched for at most 1.624 ms in 1.000 s: interrupted\n"));
}

TEST_F(TextReporterTest, EndTellsThatMoreMayBeLost) {
  begin();
  WatchEnd end = sample_end();
  end.lost_is_lower_bound = true;
  ASSERT_TRUE(reporter_->end(end));
  EXPECT_THAT(remarks(), HasSubstr("\n100 hits, at least 0 lost in 1.000 s: interrupted\n"));
}

TEST_F(TextReporterTest, FullDiskIsReturned) {
  auto full = Output::create("/dev/full");
  ASSERT_TRUE(full);
  TextReporter reporter(*full, remarks_, {});
  ASSERT_TRUE(reporter.start(sample_start()));
  const SampleHit sample;
  ASSERT_TRUE(reporter.hit(sample.view()));
  const auto flushed = reporter.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().error.os_errno, ENOSPC);
  EXPECT_FALSE(reporter.end(sample_end()));
}

}  // namespace
}  // namespace trapline::report
