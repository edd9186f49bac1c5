#include "tools/trapline/cpus/cpu_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trapline::command {
namespace {

using ::testing::HasSubstr;

CpuFacts offline_cpu() {
  CpuFacts cpu;
  cpu.cpu = CpuId{1};
  cpu.kernel_state = CpuState{0, "offline"};
  cpu.state = CpuState{0, "offline"};
  cpu.transition = CpuTransition{Nanoseconds{3'500'000'000}, Nanoseconds{42'000}};
  return cpu;
}

TEST(CpuReport, TableHasALineForEachCpu) {
  CpuFacts online;
  online.is_online = true;
  online.kernel_state = CpuState{236, "online"};
  online.state = CpuState{98, "online"};
  const CpuFacts cpus[] = {online, offline_cpu()};
  EXPECT_EQ(to_table(cpus, Nanoseconds{4'000'000'000}),
            "cpu   online  kernel's state   state            last transition\n"
            "0     yes     236 online       98 online        none\n"
            "1     no      0 offline        0 offline        0.500 s ago, took 0.042 ms\n");
}

TEST(CpuReport, ChangeIsALineWithItsTimeFromTheStart) {
  EXPECT_EQ(
      to_line(offline_cpu(), Nanoseconds{1'000'000'000}),
      "    2.500000  cpu 1  offline  kernel's state 0 offline, state 0 offline, took 0.042 ms\n");
}

TEST(CpuReport, FailureAndWhatIsNotToldAreSaid) {
  CpuFacts cpu = offline_cpu();
  cpu.kernel_state.reset();
  cpu.transition->error = Error{ErrorCode::timed_out};
  EXPECT_THAT(to_line(cpu, Nanoseconds{}), HasSubstr("kernel's state not told"));
  EXPECT_THAT(to_line(cpu, Nanoseconds{}), HasSubstr("failed: timed_out"));
}

TEST(CpuReport, JsonHasTheSameFields) {
  const auto json = nlohmann::json::parse(to_json_line(offline_cpu()));
  EXPECT_EQ(json, nlohmann::json::parse(
                      R"({"type":"cpu_state","cpu":1,"online":false,
                          "kernel_state":{"number":0,"name":"offline"},
                          "state":{"number":0,"name":"offline"},
                          "transition":{"time_ns":3500000000,"duration_ns":42000}})"));
}

}  // namespace
}  // namespace trapline::command
