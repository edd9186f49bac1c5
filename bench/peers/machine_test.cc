#include "bench/peers/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trapline::peers {
namespace {

TEST(Machine, ProcessorIsNamedByTheKernel) {
  EXPECT_EQ(
      processor_name("processor\t: 0\nmodel name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu\n"),
      "QEMU TCG CPU version 2.5+");
  EXPECT_EQ(processor_name("processor\t: 0\nBogoMIPS\t: 50.00\n"), "");
  EXPECT_EQ(processor_name("model name\t:"), "");
}

TEST(Machine, TranslatorIsToldFromHardwareUnderTheSameProgram) {
  EXPECT_TRUE(is_emulator("QEMU TCG CPU version 2.5+"));
  EXPECT_FALSE(is_emulator("QEMU Virtual CPU version 2.5+"));  // also KVM's default
  EXPECT_FALSE(is_emulator("AMD EPYC 7B13"));
  EXPECT_FALSE(is_emulator(""));
}

TEST(Machine, DoctorTellsOfEachCollector) {
  const auto states = parse_doctor(
      R"({"type":"doctor","collectors":[{"name":"bpf","allowed":true,"fires":true,"reason":"a remark"},
          {"name":"perf","allowed":false,"fires":false,"reason":"forbidden"}],"can_watch":true})");
  ASSERT_TRUE(states);
  ASSERT_EQ(states->size(), 2U);
  EXPECT_EQ((*states)[0].name, "bpf");
  EXPECT_TRUE((*states)[0].fires);
  EXPECT_EQ((*states)[0].reason, "");
  EXPECT_FALSE((*states)[1].fires);
  EXPECT_EQ((*states)[1].reason, "forbidden");
}

TEST(Machine, WhatIsNoReportIsAnError) {
  EXPECT_FALSE(parse_doctor(""));
  EXPECT_FALSE(parse_doctor("trapline: internal error"));
  EXPECT_FALSE(parse_doctor("{}"));
}

}  // namespace
}  // namespace trapline::peers
