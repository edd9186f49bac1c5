#include "ports/linux/perf_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "ports/linux/perf_record_bytes.h"

namespace trapline::linux_port {
namespace {

using ::testing::ElementsAre;
using testing::RecordBytes;

constexpr std::uint64_t kBase = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                                PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU;
constexpr SampleLayout kLayout{kBase, 0};
constexpr SampleLayout kFullLayout{
    kBase | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER, 0b101};

RecordBytes base_sample(std::uint16_t misc = PERF_RECORD_MISC_USER) {
  RecordBytes record(PERF_RECORD_SAMPLE, misc);
  record.put_u64(77).put_u64(0x401188).put_u32(10).put_u32(11).put_u64(123456).put_u64(0x404060);
  return record.put_u32(1).put_u32(0);
}

RecordBytes full_sample() {
  RecordBytes record = base_sample(PERF_RECORD_MISC_KERNEL);
  record.put_u64(6)
      .put_u64(static_cast<std::uint64_t>(PERF_CONTEXT_KERNEL))
      .put_u64(0xffffffff81000001)
      .put_u64(0xffffffff81000002)
      .put_u64(static_cast<std::uint64_t>(PERF_CONTEXT_USER))
      .put_u64(0x401000)
      .put_u64(0x402000);
  record.put_u64(PERF_SAMPLE_REGS_ABI_64).put_u64(0xa).put_u64(0xc);
  return record.put_u64(16).put_u64(0x1111).put_u64(0x2222).put_u64(8);
}

// struct sample_id of these layouts: TID TIME CPU IDENTIFIER.
RecordBytes& put_trailer(RecordBytes& record, std::uint64_t time) {
  return record.put_u32(10).put_u32(11).put_u64(time).put_u64(1).put_u64(77);
}

TEST(DecodeSample, ReadsTheFixedFields) {
  PerfSample sample;
  ASSERT_TRUE(decode_sample(base_sample().done(), kLayout, sample).has_value());
  EXPECT_EQ(sample.id, 77U);
  EXPECT_EQ(sample.ip, RemoteAddress(0x401188));
  EXPECT_EQ(sample.pid, ProcessId{10});
  EXPECT_EQ(sample.tid, ThreadId{11});
  EXPECT_EQ(sample.time, Nanoseconds{123456});
  EXPECT_EQ(sample.address, RemoteAddress(0x404060));
  EXPECT_EQ(sample.cpu, CpuId{1});
  EXPECT_FALSE(sample.in_kernel);
}

TEST(DecodeSample, SplitsTheCallchainAndReadsRegistersAndStack) {
  PerfSample sample;
  const auto bytes = full_sample().done();
  ASSERT_TRUE(decode_sample(bytes, kFullLayout, sample).has_value());
  EXPECT_TRUE(sample.in_kernel);
  EXPECT_THAT(sample.kernel_chain,
              ElementsAre(RemoteAddress(0xffffffff81000001), RemoteAddress(0xffffffff81000002)));
  EXPECT_THAT(sample.user_chain, ElementsAre(RemoteAddress(0x401000), RemoteAddress(0x402000)));
  EXPECT_EQ(sample.registers.get(std::size_t{0}), 0xaU);
  EXPECT_EQ(sample.registers.get(std::size_t{1}), std::nullopt);
  EXPECT_EQ(sample.registers.get(std::size_t{2}), 0xcU);
  ASSERT_EQ(sample.stack.size(), 8U) << "only what the kernel says it filled";
  std::uint64_t word = 0;
  std::memcpy(&word, sample.stack.data(), sizeof word);
  EXPECT_EQ(word, 0x1111U);
}

TEST(DecodeSample, ForgetsThePreviousRecord) {
  PerfSample sample;
  const auto full = full_sample().done();
  ASSERT_TRUE(decode_sample(full, kFullLayout, sample).has_value());
  auto record = base_sample();
  record.put_u64(0).put_u64(PERF_SAMPLE_REGS_ABI_NONE).put_u64(0);
  ASSERT_TRUE(decode_sample(record.done(), kFullLayout, sample).has_value());
  EXPECT_TRUE(sample.kernel_chain.empty());
  EXPECT_TRUE(sample.user_chain.empty());
  EXPECT_EQ(sample.registers.captured, 0U);
  EXPECT_TRUE(sample.stack.empty());
}

TEST(DecodeSample, RejectsARecordCutAtAnyPlace) {
  const auto whole = full_sample().done();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto claimed = static_cast<std::uint16_t>(size);
    if (size >= sizeof(perf_event_header))
      std::memcpy(cut.data() + offsetof(perf_event_header, size), &claimed, sizeof claimed);
    PerfSample sample;
    EXPECT_FALSE(decode_sample(cut, kFullLayout, sample).has_value()) << size;
  }
}

TEST(DecodeSample, RejectsCountsBeyondTheRecord) {
  for (const std::uint64_t count : {std::uint64_t{2}, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    auto record = base_sample();
    record.put_u64(count).put_u64(0x401000);
    PerfSample sample;
    const SampleLayout layout{kBase | PERF_SAMPLE_CALLCHAIN, 0};
    EXPECT_FALSE(decode_sample(record.done(), layout, sample).has_value()) << count;
  }
}

TEST(DecodeSample, RejectsALayoutItDoesNotKnow) {
  PerfSample sample;
  const SampleLayout layout{kBase | PERF_SAMPLE_RAW, 0};
  EXPECT_FALSE(is_decodable(layout));
  EXPECT_FALSE(decode_sample(base_sample().done(), layout, sample).has_value());
}

TEST(DecodeTask, ReadsForkAndExitAndNothingElse) {
  for (const std::uint32_t type : {PERF_RECORD_FORK, PERF_RECORD_EXIT}) {
    RecordBytes record(type);
    record.put_u32(20).put_u32(10).put_u32(21).put_u32(11).put_u64(99);
    const auto task = decode_task(put_trailer(record, 100).done());
    ASSERT_TRUE(task.has_value());
    EXPECT_EQ(task->pid, ProcessId{20});
    EXPECT_EQ(task->parent_pid, ProcessId{10});
    EXPECT_EQ(task->tid, ThreadId{21});
    EXPECT_EQ(task->parent_tid, ThreadId{11});
    EXPECT_EQ(task->time, Nanoseconds{99});
  }
  EXPECT_FALSE(decode_task(base_sample().done()).has_value());
}

TEST(DecodeComm, ReadsTheNameAndWhetherItIsAnExec) {
  RecordBytes record(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
  record.put_u32(10).put_u32(11).put_text("worker");
  const auto comm = decode_comm(put_trailer(record, 5).done());
  ASSERT_TRUE(comm.has_value());
  EXPECT_STREQ(comm->name.data(), "worker");
  EXPECT_EQ(comm->tid, ThreadId{11});
  EXPECT_TRUE(comm->is_exec);
}

TEST(DecodeComm, CutsANameThatIsTooLongAndRejectsOneWithoutEnd) {
  RecordBytes record(PERF_RECORD_COMM);
  record.put_u32(10).put_u32(11).put_text("a name of more than sixteen");
  EXPECT_STREQ(decode_comm(record.done())->name.data(), "a name of more ");
  RecordBytes endless(PERF_RECORD_COMM);
  endless.put_u32(10).put_u32(11).put_u64(0x4141414141414141);
  EXPECT_FALSE(decode_comm(endless.done()).has_value());
}

TEST(DecodeMap, ReadsItsFields) {
  RecordBytes map(PERF_RECORD_MMAP);
  map.put_u32(10).put_u32(11).put_u64(0x7f0000000000).put_u64(0x2000).put_u64(0).put_text("/lib/x");
  const auto mapped = decode_map(map.done());
  ASSERT_TRUE(mapped.has_value());
  EXPECT_EQ(mapped->pid, ProcessId{10});
  EXPECT_EQ(mapped->start, RemoteAddress(0x7f0000000000));
  EXPECT_EQ(mapped->length, ByteCount{0x2000});
}

TEST(ReadHeader, RejectsSizesThatMakeNoSense) {
  const auto good = base_sample().done();
  ASSERT_TRUE(read_header(good).has_value());
  EXPECT_EQ(read_header(good)->kind, RecordKind::sample);
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{0, 4, 12, 2048}) {
    auto bad = good;
    std::memcpy(bad.data() + offsetof(perf_event_header, size), &size, sizeof size);
    EXPECT_FALSE(read_header(bad).has_value()) << size;
  }
  EXPECT_FALSE(read_header({}).has_value());
}

TEST(TimeOf, FindsItInSamplesAndInTrailers) {
  EXPECT_EQ(time_of(base_sample().done(), kLayout), Nanoseconds{123456});
  RecordBytes lost(PERF_RECORD_LOST);
  lost.put_u64(77).put_u64(12);
  EXPECT_EQ(time_of(put_trailer(lost, 654321).done(), kLayout), Nanoseconds{654321});
  EXPECT_EQ(time_of(RecordBytes(PERF_RECORD_LOST).done(), kLayout), std::nullopt);
  EXPECT_EQ(time_of(base_sample().done(), SampleLayout{PERF_SAMPLE_IP, 0}), std::nullopt);
}

TEST(OriginOf, ReadsOnlySamples) {
  const auto origin = origin_of(base_sample().done(), kLayout);
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->id, 77U);
  EXPECT_EQ(origin->tid, ThreadId{11});
  EXPECT_FALSE(origin_of(RecordBytes(PERF_RECORD_LOST).done(), kLayout).has_value());
}

}  // namespace
}  // namespace trapline::linux_port
