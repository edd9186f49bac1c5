#include "report/json_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "report/summary_reporter.h"
#include "report/test_support.h"

namespace trapline::report {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::string docs_text() {
  std::ostringstream text;
  text << std::ifstream(REPORT_TEST_DOCS "/json.md").rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class JsonReporterTest : public ::testing::Test {
 protected:
  void begin(const WatchStart& start = sample_start()) { ASSERT_TRUE(reporter_.start(start)); }
  void report(const SampleHit& sample) { ASSERT_TRUE(reporter_.hit(sample.view())); }
  std::vector<std::string> lines() {
    EXPECT_TRUE(reporter_.flush());
    return lines_of(file_.text());
  }
  // The last line, as JSON.
  Json last() {
    const auto all = lines();
    EXPECT_FALSE(all.empty());
    return all.empty() ? Json() : Json::parse(all.back());
  }

  MemoryFile file_;
  Output records_ = Output::borrow(file_.descriptor(), "hits");
  JsonReporter reporter_{records_};
};

// One hit as a reporter of its own writes it.
std::string hit_line(const WatchStart& start, const SampleHit& sample) {
  MemoryFile file;
  Output output = Output::borrow(file.descriptor(), "hits");
  JsonReporter reporter(output);
  EXPECT_TRUE(reporter.start(start));
  EXPECT_TRUE(reporter.hit(sample.view()));
  EXPECT_TRUE(reporter.flush());
  return lines_of(file.text()).at(1);
}

WatchStart start_of(const char* expression, symbols::ValueType type) {
  WatchStart start = sample_start();
  start.expression = expression;
  start.request.length = type.length;
  start.type = std::move(type);
  return start;
}

WatchStart phase_start() {
  return start_of("phase", enumeration_type(4, {{"idle", 0}, {"running", 5}}));
}

// struct { long len; struct node *next; } node; the sample is a write of `next`.
WatchStart node_start() {
  return start_of("node", structure_type(16, {{"len", {}, number_type(8)},
                                              {"next", ByteCount{8}, pointer_type()}}));
}

// Each record that the documentation shows, in its order.
TEST_F(JsonReporterTest, LinesAreExactlyTheDocumentedOnes) {
  begin();
  report(SampleHit());
  ASSERT_TRUE(reporter_.cpu(sample_offline()));
  ASSERT_TRUE(reporter_.cpu(sample_online()));
  ASSERT_TRUE(reporter_.lost(12));
  WatchEnd end = sample_end();
  end.lost = 12;
  end.cpu_changes = 2;
  end.gap = Nanoseconds{812'000};
  ASSERT_TRUE(reporter_.end(end));

  SampleHit unknown;
  unknown.ip.reset();
  unknown.instruction.clear();
  unknown.hit.trap_ip = RemoteAddress(0xffffffff81000010);
  unknown.hit.in_kernel = true;
  unknown.hit.old_value = {};
  unknown.hit.new_value = {};
  unknown.stack.id = 2;
  unknown.stack.frames = {{unknown.hit.trap_ip, "", 0, "", 0, "", false}};
  report(unknown);

  SampleHit inlined;
  inlined.hit.old_value.certainty = Certainty::approximate;
  inlined.hit.new_value.certainty = Certainty::approximate;
  inlined.stack.id = 3;
  inlined.stack.frames[0].inlined = true;
  inlined.stack.frames[1].ip = *inlined.ip;
  inlined.stack.frames[1].offset = 8;
  report(inlined);

  std::vector<std::string> named;
  SampleHit phase;
  phase.hit.old_value.bits = 0;
  phase.hit.new_value.bits = 5;
  named.push_back(hit_line(phase_start(), phase));
  FakeNames names;
  names.add(0x404010, 64, "table");
  SampleHit node;
  node.names = &names;
  node.hit.address = RemoteAddress(0x404068);
  node.hit.length = ByteCount{8};
  node.hit.old_value.bits = 0;
  node.hit.new_value.bits = 0x404020;
  named.push_back(hit_line(node_start(), node));

  ASSERT_TRUE(reporter_.cpu(sample_unwatched()));

  MemoryFile summary_file;
  Output summary_output = Output::borrow(summary_file.descriptor(), "summary");
  SummaryReporter summary(summary_output, summary_output, SummaryReporter::Format::json);
  ASSERT_TRUE(summary.start(sample_start()));
  const SampleHit sample;
  ASSERT_TRUE(summary.hit(sample.view()));
  ASSERT_TRUE(summary.hit(sample.view()));
  ASSERT_TRUE(summary.end(end));

  std::vector<std::string> written = lines();
  // The last one comes behind the hits with names.
  written.insert(written.end() - 1, named.begin(), named.end());
  written.push_back(lines_of(summary_file.text()).at(1));

  std::vector<std::string> documented;
  for (const std::string& line : lines_of(docs_text())) {
    if (line.starts_with('{')) documented.push_back(line);
  }
  EXPECT_EQ(written, documented);
}

void collect_names(const Json& value, std::set<std::string>& names) {
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      names.insert(name);
      collect_names(member, names);
    }
  } else if (value.is_array()) {
    for (const Json& element : value) collect_names(element, names);
  }
}

TEST_F(JsonReporterTest, EveryFieldIsInTheTablesOfTheDocumentation) {
  std::set<std::string> names;
  for (const std::string& line : lines_of(docs_text())) {
    if (line.starts_with('{')) collect_names(Json::parse(line), names);
  }
  ASSERT_GE(names.size(), 40U);
  std::string tables;
  for (const std::string& line : lines_of(docs_text())) {
    if (line.starts_with("| `")) tables += line.substr(0, line.find(" | ")) + '\n';
  }
  for (const std::string& name : names) {
    if (name == "watch") continue;  // an object: its members are listed
    EXPECT_TRUE(tables.contains("`" + name + "`") || tables.contains("`watch." + name + "`"))
        << name;
  }
}

TEST_F(JsonReporterTest, StartIsWrittenAtOnce) {
  begin();
  EXPECT_THAT(file_.text(), HasSubstr("\"type\":\"start\""));
}

TEST_F(JsonReporterTest, StartLeavesOutWhatIsNotKnownAndKeepsTheNotes) {
  WatchStart start = sample_start();
  start.type.name.clear();
  start.began.reset();
  start.notes = {"first", "second"};
  begin(start);
  const Json record = last();
  EXPECT_FALSE(record["watch"].contains("type"));
  EXPECT_FALSE(record.contains("time_ns"));
  EXPECT_EQ(record["notes"], Json::parse(R"(["first","second"])"));
}

TEST_F(JsonReporterTest, AnyBytesInNamesGiveValidJson) {
  const std::vector<std::pair<std::string, std::string>> names{
      {"a\"b\\c", "a\"b\\c"}, {"line\nfeed", "line\nfeed"},
      {"\x1b[2J", "\x1b[2J"}, {"\xff\xfe", "\ufffd\ufffd"},
      {"größe", "größe"},     {"cut\xc3", "cut\ufffd"},
      {"\x7f", "\x7f"},
  };
  begin();
  for (const auto& [comm, expected] : names) {
    SampleHit sample;
    set_comm(sample.hit, comm);
    report(sample);
    EXPECT_EQ(last()["comm"], expected);
  }
  SampleHit symbols;
  symbols.stack.id = 77;
  symbols.stack.frames[0].symbol = "operator\"\" _x\xff\n";
  symbols.instruction = "\"";
  report(symbols);
  EXPECT_EQ(last()["symbol"], "operator\"\" _x\ufffd\n");
  EXPECT_EQ(last()["stack"][0]["symbol"], "operator\"\" _x\ufffd\n");
  EXPECT_EQ(last()["instruction"], "\"");
}

TEST_F(JsonReporterTest, NameThatIsNotKnownIsAbsent) {
  begin();
  SampleHit sample;
  set_comm(sample.hit, "");
  report(sample);
  EXPECT_FALSE(last().contains("comm"));
  EXPECT_EQ(last()["cpu"], 1);
}

TEST_F(JsonReporterTest, CommOfFullLengthHasNoTerminator) {
  begin();
  SampleHit sample;
  set_comm(sample.hit, "0123456789abcdef");
  report(sample);
  EXPECT_EQ(last()["comm"], "0123456789abcdef");
}

TEST_F(JsonReporterTest, LargestNumbersAreExact) {
  WatchStart start = sample_start();
  start.request.length = ByteCount{8};
  start.type = {symbols::ValueKind::unsigned_integer, ByteCount{8}, "uint64_t", false};
  begin(start);
  SampleHit sample;
  sample.hit.time = Nanoseconds{~std::uint64_t{0}};
  sample.hit.length = ByteCount{8};
  sample.hit.address = RemoteAddress(~std::uint64_t{7});
  sample.hit.old_value.bits = ~std::uint64_t{0};
  sample.hit.new_value.bits = ~std::uint64_t{0} - 1;
  report(sample);
  const std::string line = lines().back();
  EXPECT_THAT(line, HasSubstr(R"("time_ns":18446744073709551615,)"));
  EXPECT_THAT(line, HasSubstr(R"("address":"0xfffffffffffffff8",)"));
  EXPECT_THAT(line, HasSubstr(R"("old":18446744073709551615,"new":18446744073709551614,)"));
}

TEST_F(JsonReporterTest, ValuesOfALongWatchAreTheBytesOfTheSlot) {
  WatchStart start = sample_start();
  start.request.length = ByteCount{12};
  start.type = {symbols::ValueKind::bytes, ByteCount{12}, "struct triple", false};
  begin(start);
  SampleHit sample;
  sample.hit.length = ByteCount{4};
  sample.hit.old_value = {};
  sample.hit.new_value.bits = 0xefbeadde;
  report(sample);
  EXPECT_EQ(last()["new"], "0xdeadbeef");
  EXPECT_FALSE(last().contains("old"));
}

TEST_F(JsonReporterTest, NameOfAValueStandsBesideItsNumber) {
  const WatchStart start = phase_start();
  SampleHit sample;
  sample.hit.old_value.bits = 5;
  sample.hit.new_value.bits = 7;
  const Json record = Json::parse(hit_line(start, sample));
  EXPECT_EQ(record["old"], 5);
  EXPECT_EQ(record["old_text"], "running");
  EXPECT_EQ(record["new"], 7);
  EXPECT_FALSE(record.contains("new_text")) << "7 has no name";
}

TEST_F(JsonReporterTest, ValueThatIsNotKnownHasNoText) {
  SampleHit sample;
  sample.hit.old_value = {};
  sample.hit.new_value.bits = 5;
  const Json record = Json::parse(hit_line(phase_start(), sample));
  EXPECT_FALSE(record.contains("old"));
  EXPECT_FALSE(record.contains("old_text"));
  EXPECT_EQ(record["new_text"], "running");
}

TEST_F(JsonReporterTest, PointerIsANumberAndSaysWhatItPointsTo) {
  FakeNames names;
  names.add(0x404010, 64, "ns::operator\"\" _x\xff");
  SampleHit sample;
  sample.names = &names;
  sample.hit.old_value.bits = 0;
  sample.hit.new_value.bits = 0x404011;
  const Json record = Json::parse(hit_line(start_of("p", pointer_type()), sample));
  EXPECT_EQ(record["new"], 0x404011);
  EXPECT_EQ(record["new_text"], "0x404011 <ns::operator\"\" _x?+1>");
  EXPECT_EQ(record["old"], 0);
  EXPECT_FALSE(record.contains("old_text"));
}

TEST_F(JsonReporterTest, PlainNumbersAreNotLookedUp) {
  FakeNames names;
  begin();
  SampleHit sample;
  sample.names = &names;
  report(sample);
  EXPECT_EQ(names.questions(), 0);
  EXPECT_FALSE(last().contains("old_text"));
  EXPECT_FALSE(last().contains("member"));
}

TEST_F(JsonReporterTest, SmallStructIsBytesAndReadsAsItsMembers) {
  const WatchStart start = start_of(
      "pair", structure_type(4, {{"x", {}, number_type(2)}, {"y", ByteCount{2}, number_type(2)}}));
  SampleHit sample;
  sample.hit.old_value.bits = 0x0002'0001;
  sample.hit.new_value.bits = 0x0003'0001;
  sample.accessed = AccessedBytes{RemoteAddress(0x404062), ByteCount{2}};
  const Json record = Json::parse(hit_line(start, sample));
  EXPECT_EQ(record["member"], "pair.y");
  EXPECT_EQ(record["old"], "0x01000200");
  EXPECT_EQ(record["old_text"], "{x = 1, y = 2}");
  EXPECT_EQ(record["new_text"], "{x = 1, y = 3}");
}

TEST_F(JsonReporterTest, MemberOfALongStructReadsAsItsType) {
  SampleHit sample;
  sample.hit.length = ByteCount{8};
  sample.hit.old_value.bits = ~std::uint64_t{0};
  sample.hit.new_value.bits = 7;
  const Json record = Json::parse(hit_line(node_start(), sample));
  EXPECT_EQ(record["member"], "node.len");
  EXPECT_EQ(record["old"], "0xffffffffffffffff");
  EXPECT_EQ(record["old_text"], "-1");
  EXPECT_EQ(record["new_text"], "7");
}

TEST_F(JsonReporterTest, OnlyTheValueThatIsApproximateIsNamed) {
  begin();
  SampleHit sample;
  sample.hit.old_value.certainty = Certainty::approximate;
  report(sample);
  EXPECT_EQ(last()["approximate"], Json::parse(R"(["old"])"));
  sample.hit.old_value.certainty = Certainty::exact;
  sample.hit.new_value.certainty = Certainty::approximate;
  report(sample);
  EXPECT_EQ(last()["approximate"], Json::parse(R"(["new"])"));
}

TEST_F(JsonReporterTest, EndTellsWhetherMoreMayBeLost) {
  begin();
  WatchEnd end = sample_end();
  ASSERT_TRUE(reporter_.end(end));
  EXPECT_FALSE(last().contains("lost_is_lower_bound"));
  end.lost_is_lower_bound = true;
  ASSERT_TRUE(reporter_.end(end));
  EXPECT_EQ(last()["lost_is_lower_bound"], true);
}

TEST_F(JsonReporterTest, EndCountsCpuChangesWhereThereWereAny) {
  begin();
  ASSERT_TRUE(reporter_.end(sample_end()));
  EXPECT_FALSE(last().contains("cpu_changes"));
  EXPECT_EQ(last()["gap_ns"], 0);
}

TEST_F(JsonReporterTest, CpuEventTellsNothingThatIsNotKnown) {
  begin();
  ASSERT_TRUE(reporter_.cpu(sample_offline()));
  EXPECT_EQ(last(),
            Json::parse(R"({"type":"cpu","time_ns":1600000000,"cpu":1,"event":"offline"})"));
  ASSERT_TRUE(reporter_.cpu(sample_unwatched()));
  EXPECT_FALSE(last().contains("gap_ns"));
  EXPECT_FALSE(last().contains("reinstall_ns"));
  EXPECT_FALSE(last().contains("cpu_was_offline"));
}

TEST_F(JsonReporterTest, CpuThatStayedOnlineAndIsWatchedAgainSaysSo) {
  begin();
  CpuEventView event = sample_online();
  event.cpu_was_offline = false;
  ASSERT_TRUE(reporter_.cpu(event));
  EXPECT_EQ(last()["event"], "online");
  EXPECT_EQ(last()["cpu_was_offline"], false);
  EXPECT_EQ(last()["gap_ns"], 812'000);
}

TEST_F(JsonReporterTest, ManyStacksKeepTheirOwnText) {
  // More than are remembered; each comes twice, the second time after all others.
  constexpr std::uint64_t kStacks = 9'000;
  begin();
  SampleHit sample;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t id = 1; id <= kStacks; ++id) {
      sample.stack.id = id;
      sample.stack.frames[0].line = static_cast<std::uint32_t>(id);
      report(sample);
    }
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 1 + 2 * kStacks);
  for (std::size_t index = 1; index < all.size(); index += 101) {
    const Json record = Json::parse(all[index]);
    EXPECT_EQ(record["line"], (index - 1) % kStacks + 1);
    EXPECT_EQ(record["stack"][0]["line"], record["line"]);
  }
}

TEST_F(JsonReporterTest, ClosedPipeIsReturnedOnceTheBufferIsWritten) {
  std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Output output = Output::borrow(ends[1], "standard output");
  JsonReporter reporter(output);
  ASSERT_TRUE(reporter.start(sample_start()));
  ::close(ends[0]);
  const SampleHit sample;
  std::optional<Failure> failure;
  for (int hits = 0; hits < 10'000 && !failure; ++hits) {
    if (auto written = reporter.hit(sample.view()); !written) failure = written.error();
  }
  ::close(ends[1]);
  std::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->error, (Error{ErrorCode::output_failed, EPIPE}));
  EXPECT_FALSE(reporter.end(sample_end()));
}

TEST_F(JsonReporterTest, FullDiskIsReturnedAtTheStart) {
  auto full = Output::create("/dev/full");
  ASSERT_TRUE(full);
  JsonReporter reporter(*full);
  const auto started = reporter.start(sample_start());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().error.os_errno, ENOSPC);
  EXPECT_EQ(started.error().message, "cannot write to /dev/full: no space left on device");
}

}  // namespace
}  // namespace trapline::report
