// The whole command, with few writes: with Trapline as it is where debug registers fire, and with
// scripts in its place anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/peers/process.h"
#include "bench/peers/tool_table.h"
#include "tests/linux/child_process.h"

namespace trapline::peers {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PeersBench : public ::testing::Test {
 protected:
  PeersBench() {
    std::string pattern = ::testing::TempDir() + "peers_bench.XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
  }
  ~PeersBench() override { fs::remove_all(folder_); }

  // In place of Trapline. Its doctor finds that perf fires, if it is told so.
  [[nodiscard]] std::string script(bool fires, const std::string& watch) const {
    const std::string path = folder_ / "trapline";
    std::ofstream(path) << "#!/bin/sh\nif [ $1 = doctor ]; then\n"
                        << R"(echo '{"collectors":[{"name":"perf","fires":)"
                        << (fires ? "true}" : R"(false,"reason":"it is broken, buy another"})")
                        << "]}'\nexit 1\nfi\n"
                        << watch;
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& options) const {
    std::vector<std::string> line = {
        PEERS_BENCH, "-o",          folder_, "--rounds",     "1", "--few",
        "20",        "--many",      "120",   "--few-stacks", "5", "--many-stacks",
        "15",        "--few-stops", "2",     "--many-stops", "12"};
    line.insert(line.end(), options.begin(), options.end());
    return line;
  }
  [[nodiscard]] std::string written(const std::string& name) const {
    return text_of(folder_ / name);
  }

  fs::path folder_;
};

json row_of(const json& report, std::string_view name) {
  for (const json& row : report["tools"]) {
    if (row["name"] == name) return row;
  }
  return {};
}

// Every run of the row together: tried out, short, long.
void expect_every_write_seen(const json& row, std::uint64_t writes) {
  EXPECT_EQ(row["writes"], writes) << row;
  EXPECT_EQ(row["hits"].get<std::uint64_t>() + row["lost"].get<std::uint64_t>(), writes) << row;
  EXPECT_EQ(row["slopes_ns"].size(), 1U) << row;
}

// In all runs together, as command() asks for them.
std::uint64_t writes_of(const Tool& tool) {
  switch (tool.pace) {
    case Pace::runs_on:
      return 20 + 20 + 120;
    case Pace::copies_stacks:
      return 5 + 5 + 15;
    case Pace::stops_for_each:
      break;
  }
  return 2 + 2 + 12;
}

void expect_measured_or_missing(const json& row, const Tool& tool) {
  if (tool.kind == Kind::trapline || find_program(std::string(tool.program))) {
    expect_every_write_seen(row, writes_of(tool));
  } else {
    EXPECT_EQ(row["missing"], std::string(tool.program) + " is not installed");
  }
}

TEST_F(PeersBench, EveryToolAccountsForEveryWriteOrIsNamedAsMissing) {
  // One of each kind: each is started three times, which is slow where the CPU is emulated.
  const std::vector<std::string> names = {"perf record -g",
                                          "gdb, watch and continue",
                                          "trapline, bpf",
                                          "trapline, perf",
                                          "trapline, ptrace",
                                          "trapline --summary, bpf",
                                          "trapline --when new==0, bpf"};
  std::vector<std::string> options = {"--attach-threads", "20", "--attach-rounds",  "1",
                                      "--writers",        "4",  "--writer-seconds", "0.2"};
  for (const std::string& name : names) options.insert(options.end(), {"--only", name});
  const auto time =
      time_of(command(options), folder_ / "out", folder_ / "errors", std::chrono::seconds{220});
  ASSERT_TRUE(time) << time.error().message;
  const json report = json::parse(written("peers.json"));
  EXPECT_EQ(report["tools"].size(), 1 + names.size());
  for (const std::string& name : names) {
    const auto tool = std::ranges::find(all_tools(), name, &Tool::name);
    ASSERT_NE(tool, all_tools().end()) << name;
    expect_measured_or_missing(row_of(report, name), *tool);
  }
  ASSERT_EQ(report["attach"]["collectors"].size(), 3U);
  for (const json& row : report["attach"]["collectors"]) EXPECT_GT(row["ms"]["median"], 0) << row;
  ASSERT_EQ(report["writers"]["collectors"].size(), 3U);
  for (const json& row : report["writers"]["collectors"]) {
    EXPECT_GT(row["writes"], 0) << row;
    EXPECT_TRUE(row["exact"]) << row;
  }
  EXPECT_THAT(written("out"), HasSubstr("| trapline --summary, bpf |"));
  EXPECT_EQ(written("peers.md"), written("out"));
  EXPECT_THAT(written("peers.svg"), StartsWith("<svg "));
}

TEST_F(PeersBench, MachineThatNeverFiresIsToldInOneLine) {
  const auto exit = trapline::testing::run(command({"--trapline", script(false, "exit 1")}));
  EXPECT_EQ(exit.status, 1);
  EXPECT_EQ(
      exit.err,
      "peers: nothing can be measured here, since no watch fires: it is broken, buy another\n");
  EXPECT_EQ(exit.out, "");
  EXPECT_FALSE(fs::exists(folder_ / "peers.json"));
}

TEST_F(PeersBench, HitsThatAreMissingWithoutAWordMakeItFail) {
  // It runs what stands after "--", and tells of one hit, whatever happened.
  const std::string lies = script(true,
                                  "until [ $1 = -o ]; do shift; done; out=$2\n"
                                  "until [ $1 = -- ]; do shift; done; shift; \"$@\"\n"
                                  "echo '{\"type\":\"end\",\"hits\":1,\"lost\":0}' >$out\n");
  const auto exit = trapline::testing::run(command(
      {"--trapline", lies, "--only", "trapline, perf", "--attach-threads", "0", "--writers", "0"}));
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.err, HasSubstr("peers: not every write is accounted for: trapline, perf: 160 "
                                  "writes, 3 hits, 0 lost\n"));
  EXPECT_THAT(exit.out, HasSubstr("| 3 of 160, **157 missing without a word** |"));
}

TEST_F(PeersBench, TraplineThatFailsIsMissingWithItsReason) {
  const std::string fails = script(true, "echo 'trapline: no luck' >&2; exit 1\n");
  const auto exit = trapline::testing::run(
      command({"--trapline", fails, "--only", "trapline, perf", "--attach-threads", "3",
               "--attach-rounds", "1", "--writers", "2", "--writer-seconds", "0.01"}));
  EXPECT_THAT(
      exit.out,
      HasSubstr("- not measured: trapline, perf: it ended with status 1: trapline: no luck\n"));
  EXPECT_THAT(exit.out, HasSubstr("- not measured: perf: it did not attach: trapline: no luck\n"));
  EXPECT_THAT(exit.out, HasSubstr("- not measured: perf: it did not watch: trapline: no luck\n"));
}

TEST_F(PeersBench, CountsThatHaveNoSlopeAreAUsageError) {
  const auto exit = trapline::testing::run({PEERS_BENCH, "--few", "82000"});
  EXPECT_EQ(exit.status, 2);
  EXPECT_EQ(exit.err, "peers: the short run must have writes, and the long one more\n");
}

}  // namespace
}  // namespace trapline::peers
