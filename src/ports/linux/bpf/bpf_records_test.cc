#include "ports/linux/bpf/bpf_records.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ports/linux/bpf/watch_record.h"

namespace trapline::linux_port {
namespace {

template <typename Record>
std::vector<std::byte> bytes_of(const Record& record, std::size_t size = sizeof(Record)) {
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), &record, size);
  return bytes;
}

trapline_hit_record some_hit() {
  trapline_hit_record record{};
  record.kind = TRAPLINE_HIT;
  record.slot = 1;
  record.pid = 10;
  record.tid = 11;
  record.cpu = 3;
  record.flags = TRAPLINE_OLD_KNOWN | TRAPLINE_NEW_KNOWN | TRAPLINE_HAS_USER;
  record.time = 99;
  record.address = 0x1008;
  std::memcpy(record.comm, "writer", 7);
  record.old_value = 7;
  record.new_value = 0xdeadbeef;
  record.ip = 0x401000;
  record.user_frames = 2;
  record.user_chain[0] = 0x401000;
  record.user_chain[1] = 0x402000;
  return record;
}

constexpr std::size_t kHead = offsetof(trapline_hit_record, user_chain);

TEST(DecodeBpfHit, UserHitEndsAfterItsChain) {
  BpfHit hit;
  const auto bytes = bytes_of(some_hit(), kHead + 2 * sizeof(std::uint64_t));
  ASSERT_TRUE(decode_bpf_hit(bytes, hit));
  EXPECT_EQ(hit.sample.address, RemoteAddress(0x1008));
  EXPECT_EQ(hit.sample.pid, ProcessId{10});
  EXPECT_EQ(hit.sample.tid, ThreadId{11});
  EXPECT_EQ(hit.sample.cpu, CpuId{3});
  EXPECT_EQ(hit.sample.time, Nanoseconds{99});
  EXPECT_EQ(hit.sample.ip, RemoteAddress(0x401000));
  EXPECT_FALSE(hit.sample.in_kernel);
  EXPECT_STREQ(hit.comm.data(), "writer");
  EXPECT_EQ(hit.old_value, (MemoryValue{7, Certainty::exact}));
  EXPECT_EQ(hit.new_value, (MemoryValue{0xdeadbeef, Certainty::exact}));
  EXPECT_EQ(hit.sample.user_chain, (std::vector{RemoteAddress(0x401000), RemoteAddress(0x402000)}));
  EXPECT_FALSE(hit.is_first);
  EXPECT_TRUE(hit.sample.kernel_chain.empty());
  EXPECT_TRUE(hit.sample.stack.empty());
}

TEST(DecodeBpfHit, WhatIsNotKnownIsNotTold) {
  auto record = some_hit();
  record.flags = 0;
  BpfHit hit;
  ASSERT_TRUE(decode_bpf_hit(bytes_of(record), hit));
  EXPECT_EQ(hit.old_value.certainty, Certainty::unknown);
  EXPECT_EQ(hit.new_value.certainty, Certainty::unknown);
}

TEST(DecodeBpfHit, KernelHitHasBothChains) {
  auto record = some_hit();
  record.flags |= TRAPLINE_IN_KERNEL;
  record.kernel_frames = 1;
  record.kernel_chain[0] = 0xffffffff81000000;
  BpfHit hit;
  ASSERT_TRUE(decode_bpf_hit(bytes_of(record), hit));
  EXPECT_TRUE(hit.sample.in_kernel);
  EXPECT_EQ(hit.sample.kernel_chain, std::vector{RemoteAddress(0xffffffff81000000)});
  // The same record without room for it.
  EXPECT_FALSE(decode_bpf_hit(bytes_of(record, kHead + 2 * sizeof(std::uint64_t)), hit));
}

TEST(DecodeBpfHit, ThreadOfTheKernelHasNoRegistersOfUserMode) {
  auto record = some_hit();
  BpfHit hit;
  ASSERT_TRUE(decode_bpf_hit(bytes_of(record), hit));
  EXPECT_NE(hit.sample.registers.captured, 0U);
  record.flags &= ~static_cast<std::uint32_t>(TRAPLINE_HAS_USER);
  ASSERT_TRUE(decode_bpf_hit(bytes_of(record), hit));
  EXPECT_EQ(hit.sample.registers.captured, 0U);
}

TEST(DecodeBpfHit, WordAtTheStackPointerIsTheStack) {
  auto record = some_hit();
  record.flags |= TRAPLINE_STACK_TOP_KNOWN;
  record.stack_top = 0x403000;
  BpfHit hit;
  ASSERT_TRUE(decode_bpf_hit(bytes_of(record), hit));
  std::uint64_t top = 0;
  ASSERT_EQ(hit.sample.stack.size(), sizeof top);
  std::memcpy(&top, hit.sample.stack.data(), sizeof top);
  EXPECT_EQ(top, 0x403000U);
}

TEST(DecodeBpfHit, RecordsThatPromiseTooMuchAreNone) {
  BpfHit hit;
  for (const auto& spoil : {+[](trapline_hit_record& record) { record.user_frames = 1u << 30; },
                            +[](trapline_hit_record& record) { record.kernel_frames = 128; },
                            +[](trapline_hit_record& record) { record.kind = TRAPLINE_FORK; }}) {
    auto record = some_hit();
    spoil(record);
    EXPECT_FALSE(decode_bpf_hit(bytes_of(record), hit));
  }
  const auto whole = bytes_of(some_hit());
  for (std::size_t size = 0; size < kHead + 2 * sizeof(std::uint64_t); ++size)
    EXPECT_FALSE(decode_bpf_hit(std::span(whole).first(size), hit)) << size;
}

TEST(TimeOfBpfRecord, IsToldByEveryKind) {
  EXPECT_EQ(time_of_bpf_record(bytes_of(some_hit())), Nanoseconds{99});
  trapline_task_record task{};
  task.time = 5;
  EXPECT_EQ(time_of_bpf_record(bytes_of(task)), Nanoseconds{5});
  constexpr std::size_t kUpToTime = offsetof(trapline_task_record, time) + sizeof task.time;
  EXPECT_TRUE(time_of_bpf_record(bytes_of(task, kUpToTime)).has_value());
  EXPECT_FALSE(time_of_bpf_record(bytes_of(task, kUpToTime - 1)).has_value());
}

TEST(DecodeBpfTask, EveryKindAndWhoItIsAbout) {
  for (const auto& [kind, event] :
       {std::pair{TRAPLINE_FORK, BpfTaskEvent::fork}, std::pair{TRAPLINE_EXIT, BpfTaskEvent::exit},
        std::pair{TRAPLINE_EXEC, BpfTaskEvent::exec},
        std::pair{TRAPLINE_CODE_MAP, BpfTaskEvent::code_map}}) {
    const trapline_task_record record{.kind = static_cast<std::uint32_t>(kind),
                                      .pid = 1,
                                      .tid = 2,
                                      .parent_pid = 3,
                                      .parent_tid = 4,
                                      .watched_slots = 6,
                                      .time = 5,
                                      .ends_process = 1,
                                      .unused = 0};
    const auto task = decode_bpf_task(bytes_of(record));
    ASSERT_TRUE(task.has_value());
    EXPECT_EQ(task->event, event);
    EXPECT_EQ(task->task.pid, ProcessId{1});
    EXPECT_EQ(task->task.tid, ThreadId{2});
    EXPECT_EQ(task->task.parent_pid, ProcessId{3});
    EXPECT_EQ(task->task.parent_tid, ThreadId{4});
    EXPECT_EQ(task->task.time, Nanoseconds{5});
    EXPECT_EQ(task->watched_slots, 6U);
    EXPECT_TRUE(task->ends_process);
    EXPECT_FALSE(decode_bpf_task(bytes_of(record, sizeof record - 1)).has_value());
  }
  EXPECT_FALSE(decode_bpf_task(bytes_of(some_hit())).has_value());
}

}  // namespace
}  // namespace trapline::linux_port
