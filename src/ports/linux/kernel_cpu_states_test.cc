#include "ports/linux/kernel_cpu_states.h"

#include <gtest/gtest.h>

namespace trapline::linux_port {
namespace {

TEST(KernelCpuStates, LinesGiveNumbersTheirNames) {
  const auto names = parse_kernel_cpu_states("  0: offline\n 84: idle:dead\n236: online\n");
  EXPECT_EQ(names.size(), 3U);
  EXPECT_EQ(names.at(84), "idle:dead");
  EXPECT_EQ(names.at(236), "online");
}

TEST(KernelCpuStates, WhatIsNoStateIsLeftOut) {
  EXPECT_TRUE(parse_kernel_cpu_states("").empty());
  EXPECT_TRUE(parse_kernel_cpu_states("states\n12\n: x\n999999999999: y\n").empty());
  EXPECT_EQ(parse_kernel_cpu_states("7: last line without its end").size(), 1U);
}

TEST(KernelCpuStates, MachineWithoutThemTellsNothing) {
  const KernelCpuStates states("/nonexistent");
  EXPECT_FALSE(states.state_of(CpuId{0}).has_value());
  EXPECT_EQ(states.name_of(0), "");
}

TEST(KernelCpuStates, FirstCpuOfThisMachineIsOnline) {
  const KernelCpuStates states;
  const auto state = states.state_of(CpuId{0});
  if (!state) GTEST_SKIP() << "this kernel does not show hotplug states (CONFIG_HOTPLUG_CPU)";
  EXPECT_EQ(states.name_of(*state), "online");
}

}  // namespace
}  // namespace trapline::linux_port
