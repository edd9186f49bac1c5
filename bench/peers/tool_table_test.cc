#include "bench/peers/tool_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace trapline::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Invocation kInvocation{.address = "0x406000",
                             .loop = "/bin/loop",
                             .writes = 500,
                             .out = "/tmp/out",
                             .script = "/tmp/script"};

std::vector<std::string> line_of(std::string_view name) {
  const auto tool = std::ranges::find(all_tools(), name, &Tool::name);
  EXPECT_NE(tool, all_tools().end()) << name;
  return command_line(*tool, std::string(tool->program), kInvocation);
}

TEST(ToolTable, OnlyTheFirstIsTheFloor) {
  EXPECT_EQ(all_tools().front().kind, Kind::floor);
  EXPECT_EQ(std::ranges::count(all_tools(), Kind::floor, &Tool::kind), 1);
}

TEST(ToolTable, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (const Tool& tool : all_tools()) EXPECT_TRUE(names.insert(tool.name).second) << tool.name;
}

TEST(ToolTable, NoPlaceholderIsLeft) {
  for (const Tool& tool : all_tools()) {
    for (const std::string& argument : command_line(tool, "tool", kInvocation)) {
      for (const char* placeholder : {"{address}", "{loop}", "{writes}", "{out}", "{script}"})
        EXPECT_THAT(argument, Not(HasSubstr(placeholder))) << tool.name;
    }
  }
}

TEST(ToolTable, PerfRecordTakesTheStackOptionsFirst) {
  EXPECT_THAT(line_of("perf record --call-graph dwarf"),
              ElementsAre("perf", "record", "-q", "--no-bpf-event", "-c1", "--call-graph", "dwarf",
                          "-e", "mem:0x406000/4:w", "-o", "/tmp/out", "/bin/loop", "500"));
}

TEST(ToolTable, BpftraceKeepsItsOwnBraces) {
  EXPECT_THAT(line_of("bpftrace, printf the value"),
              ElementsAre("bpftrace", "-q", "-o", "/tmp/out", "-e",
                          R"(watchpoint:0x406000:4:w { printf("%d\n", *(int32*)0x406000); })", "-c",
                          "/bin/loop 500"));
}

TEST(ToolTable, TraplineWatchesByNameWithTheCollectorAskedFor) {
  EXPECT_THAT(line_of("trapline --when new==0, bpf"),
              ElementsAre("trapline", "watch", "counter", "--collector", "bpf", "--when", "new==0",
                          "-f", "json", "-o", "/tmp/out", "--", "/bin/loop", "500"));
}

}  // namespace
}  // namespace trapline::peers
