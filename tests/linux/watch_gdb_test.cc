// Real Debian programs, compared field by field with what gdb says of the same run.
//
// Both run without address randomisation, so that instructions and heap addresses are the same;
// libc's debug information is Debian's (libc6-dbg). gdb stops at changes only, hence --when
// changed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

struct ProgramCase {
  const char* name;
  const char* watch;
  std::vector<std::string> command;
  std::size_t at_least;  // hits, so that an empty run cannot pass
};

class WatchAgainstGdb : public ::testing::TestWithParam<std::tuple<ProgramCase, const char*>> {};

INSTANTIATE_TEST_SUITE_P(
    DebianPrograms, WatchAgainstGdb,
    ::testing::Combine(
        ::testing::Values(
            ProgramCase{
                "seq", "_IO_2_1_stdout_.file._IO_write_ptr", {"/usr/bin/seq", "1", "40"}, 2},
            ProgramCase{"sort", "main_arena.top", {"/usr/bin/sort", "/etc/passwd"}, 10}),
        ::testing::Values("bpf", "perf", "ptrace")),
    [](const auto& test) {
      return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param);
    });

std::string basename_of(const std::string& path) {
  return std::filesystem::path(path).filename();
}

std::vector<nlohmann::json> gdb_records(const ProgramCase& program) {
  std::vector<std::string> line{
      "env",   std::string("WATCH=") + program.watch, "gdb", "-nx", "-batch", "-x", GDB_SCRIPT,
      "--args"};
  line.insert(line.end(), program.command.begin(), program.command.end());
  const auto exit = run(line);
  std::vector<nlohmann::json> records;
  std::istringstream lines(exit.out);
  const std::string prefix = "RECORD ";
  for (std::string text; std::getline(lines, text);) {
    // The program's own output may share the line.
    const std::size_t at = text.find(prefix);
    if (at != std::string::npos)
      records.push_back(nlohmann::json::parse(text.substr(at + prefix.size())));
  }
  EXPECT_FALSE(records.empty()) << exit.out << exit.err;
  return records;
}

std::vector<nlohmann::json> trapline_records(const ProgramCase& program, const char* collector) {
  const std::string path =
      ::testing::TempDir() + "/gdb_comparison." + std::to_string(::getpid()) + ".json";
  std::vector<std::string> line{
      "setarch", "-R", TRAPLINE_COMMAND, "watch",       program.watch, "--when", "changed", "-o",
      path,      "-f", "json",           "--collector", collector,     "--"};
  line.insert(line.end(), program.command.begin(), program.command.end());
  const auto exit = run(line);
  EXPECT_EQ(exit.status, 0) << exit.err;
  std::vector<nlohmann::json> records;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    auto record = nlohmann::json::parse(text);
    if (record["type"] != "hit") continue;
    // gdb was asked for the function proper, not for what was inlined into it; the line is the
    // innermost one's.
    std::string symbol;
    for (const auto& frame : record["stack"]) {
      symbol = frame.value("symbol", "");
      if (!frame.value("inlined", false)) break;
    }
    records.push_back({{"ip", record.value("ip", "")},
                       {"symbol", symbol},
                       {"file", basename_of(record.value("file", ""))},
                       {"line", record.value("line", 0)},
                       {"old", record.value("old", nlohmann::json())},
                       {"new", record.value("new", nlohmann::json())},
                       {"instruction", record.value("instruction", "")}});
  }
  std::filesystem::remove(path);
  return records;
}

// perf hands out no vector registers, and memory can be read only while the program lives: what
// such a store wrote may be unknown at the end of a short run, and with it the old value of the
// next hit. Nothing else may be missing.
bool may_lack_value(const nlohmann::json& record, const char* collector) {
  const std::string instruction = record["instruction"];
  return std::string_view(collector) == "perf" && instruction.find("mm") != std::string::npos;
}

TEST_P(WatchAgainstGdb, EveryFieldOfEveryChangeIsTheSame) {
  const auto& [program, collector] = GetParam();
  const auto expected = gdb_records(program);
  auto actual = trapline_records(program, collector);
  ASSERT_GE(expected.size(), program.at_least);
  ASSERT_EQ(actual.size(), expected.size());
  bool lacked_value = false;
  for (std::size_t index = 0; index < expected.size(); ++index) {
    const bool lacks_value =
        actual[index]["new"].is_null() && may_lack_value(actual[index], collector);
    for (const auto& [field, value] : expected[index].items()) {
      const bool is_excused = (field == "new" && lacks_value) || (field == "old" && lacked_value);
      if (is_excused && actual[index][field].is_null()) continue;
      EXPECT_EQ(actual[index][field], value) << field << " of change " << index;
    }
    lacked_value = lacks_value;
  }
}

}  // namespace
}  // namespace trapline::testing
