#include "ports/linux/perf_sample_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "ports/linux/perf_arch.h"
#include "trapline/port/debug_architecture.h"

namespace trapline::linux_port {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PerfThreadNames::Name kName{'w', 'o', 'r', 'k', 'e', 'r'};

Plan plan(Access access, std::uint64_t address, std::uint64_t length) {
  return make_plan({RemoteAddress(address), ByteCount{length}, access}, x86_64_debug_architecture())
      .value();
}

PerfSample user_record(std::uint64_t address) {
  PerfSample record;
  record.ip = RemoteAddress(0x401188);
  record.pid = ProcessId{10};
  record.tid = ThreadId{11};
  record.time = Nanoseconds{5};
  record.cpu = CpuId{1};
  record.address = RemoteAddress(address);
  record.user_chain = {RemoteAddress(0x401188), RemoteAddress(0x402000), RemoteAddress(0x403000)};
  return record;
}

TEST(PerfSampleBuilder, CallersLeaveTheTrapItselfOut) {
  const PerfSampleBuilder builder(plan(Access::write, 0x404060, 12), {});
  PerfSample record = user_record(0x404068);
  const auto sample = builder.build(record, kName);
  ASSERT_TRUE(sample.has_value());
  EXPECT_EQ(sample->hit.address, RemoteAddress(0x404068));
  EXPECT_EQ(sample->hit.length, ByteCount{4}) << "of the slot that fired";
  EXPECT_EQ(sample->hit.trap_ip, RemoteAddress(0x401188));
  EXPECT_STREQ(sample->hit.comm.data(), "worker");
  EXPECT_THAT(sample->hit.callers, ElementsAre(RemoteAddress(0x402000), RemoteAddress(0x403000)));
  EXPECT_EQ(sample->user_ip, std::nullopt);
}

TEST(PerfSampleBuilder, AnAddressOutsideThePlanIsNoSample) {
  const PerfSampleBuilder builder(plan(Access::write, 0x404060, 8), {});
  PerfSample record = user_record(0x404068);
  EXPECT_FALSE(builder.build(record, kName).has_value());
}

TEST(PerfSampleBuilder, AKernelHitShowsWhereUserModeWas) {
  const PerfSampleBuilder builder(plan(Access::write, 0x404060, 8), {});
  PerfSample record = user_record(0x404060);
  record.in_kernel = true;
  record.ip = RemoteAddress(0xffffffff81000001);
  record.kernel_chain = {record.ip, RemoteAddress(0xffffffff81000002)};
  auto sample = builder.build(record, kName);
  ASSERT_TRUE(sample.has_value());
  EXPECT_THAT(sample->kernel_stack, ElementsAre(RemoteAddress(0xffffffff81000002)));
  EXPECT_EQ(sample->user_ip, RemoteAddress(0x401188));
  EXPECT_THAT(sample->hit.callers, ElementsAre(RemoteAddress(0x402000), RemoteAddress(0x403000)));

  record.user_chain.clear();
  record.registers.set(native_perf_architecture().instruction_pointer, 0x1234);
  sample = builder.build(record, kName);
  EXPECT_EQ(sample->user_ip, RemoteAddress(0x1234)) << "from the registers if there is no chain";
  EXPECT_THAT(sample->hit.callers, IsEmpty());
}

TEST(PerfSampleBuilder, WordOnTopOfTheStackIsHandedOn) {
  const std::uint64_t return_address = 0x40aaaa;
  std::array<std::byte, sizeof return_address> stack{};
  std::memcpy(stack.data(), &return_address, sizeof return_address);
  const Plan entry = plan(Access::execute, 0x401188, 8);
  PerfSample record = user_record(0x401188);
  record.stack = stack;
  const auto sample = PerfSampleBuilder(entry, CollectorOptions{}).build(record, kName);
  // Elsewhere it is in a register.
  if (native_perf_architecture().return_address_on_stack) {
    EXPECT_EQ(sample->stack_top, RemoteAddress(0x40aaaa));
  }
  EXPECT_THAT(sample->hit.callers, ElementsAre(RemoteAddress(0x402000), RemoteAddress(0x403000)));
  record.stack = std::span(stack).first(4);
  EXPECT_EQ(PerfSampleBuilder(entry, CollectorOptions{}).build(record, kName)->stack_top,
            std::nullopt);
}

TEST(PerfThreadNames, RecordsOverruleProcAndForgettingAsksAgain) {
  PerfThreadNames names;
  const ProcessId pid{::getpid()};
  const ThreadId tid{::gettid()};
  const PerfThreadNames::Name real = names.of(pid, tid);
  EXPECT_NE(real[0], '\0');
  names.renamed(tid, kName);
  EXPECT_EQ(names.of(pid, tid), kName);
  names.forget(tid);
  EXPECT_EQ(names.of(pid, tid), real);
}

TEST(PerfThreadNames, ForgetRatherThanGrowWithoutEnd) {
  PerfThreadNames names;
  const ThreadId nobody{1'000'000'000};
  names.renamed(nobody, kName);
  for (std::int32_t i = 1; i <= 20'000; ++i) names.renamed(ThreadId{nobody.value + i}, kName);
  EXPECT_EQ(names.of(ProcessId{::getpid()}, nobody), PerfThreadNames::Name{});
}

}  // namespace
}  // namespace trapline::linux_port
