// The ring reader and the merge, over rings in this process's own memory.
#include "ports/linux/perf_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "ports/linux/perf_record_bytes.h"
#include "ports/linux/perf_ring_set.h"

namespace trapline::linux_port {
namespace {

using ::testing::ElementsAre;
using testing::RecordBytes;

constexpr SampleLayout kLayout{PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME, 0};
constexpr Nanoseconds kForever{std::numeric_limits<std::uint64_t>::max()};

// Does what the kernel does: refuses what has no room.
class FakeRing {
 public:
  explicit FakeRing(std::size_t size, std::uint64_t start = 0) : data_(size) {
    page_->data_head = page_->data_tail = start;
    reader_ = std::make_unique<PerfRingReader>(*page_, data_);
  }
  bool write(const std::vector<std::byte>& record) {
    if (page_->data_head + record.size() - page_->data_tail > data_.size()) return false;
    for (const std::byte byte : record)
      data_[static_cast<std::size_t>(page_->data_head++ % data_.size())] = byte;
    return true;
  }
  bool write_at(std::uint64_t time, std::uint64_t id = 1) {
    RecordBytes record(PERF_RECORD_SAMPLE);
    return write(record.put_u64(id).put_u32(10).put_u32(11).put_u64(time).done());
  }
  [[nodiscard]] PerfRingReader& reader() { return *reader_; }
  [[nodiscard]] std::uint64_t tail() const { return page_->data_tail; }

 private:
  std::unique_ptr<perf_event_mmap_page> page_ = std::make_unique<perf_event_mmap_page>();
  std::vector<std::byte> data_;
  std::unique_ptr<PerfRingReader> reader_;
};

std::vector<std::uint64_t> take_times(PerfRingSet& rings, Nanoseconds until) {
  std::vector<std::uint64_t> times;
  while (const auto item = rings.next(until))
    times.push_back(time_of(item->bytes, kLayout).value_or(Nanoseconds{0}).value);
  return times;
}

TEST(PerfRingReader, CopiesARecordThatWrapsAtEveryOffset) {
  constexpr std::size_t kSize = 64;
  for (std::uint64_t start = 0; start < 2 * kSize; start += 8) {
    FakeRing ring(kSize, start);
    RecordBytes record(PERF_RECORD_SAMPLE);
    const auto written = record.put_u64(1).put_u64(2).put_u64(3).put_u64(4).done();
    ASSERT_TRUE(ring.write(written));
    std::vector<std::byte> copy;
    const auto read = ring.reader().record_at(start, ring.reader().head(), copy);
    ASSERT_TRUE(read.has_value()) << start;
    EXPECT_TRUE(std::equal(read->begin(), read->end(), written.begin(), written.end())) << start;
  }
}

TEST(PerfRingReader, RejectsWhatIsNotARecord) {
  FakeRing ring(64);
  ASSERT_TRUE(ring.write(std::vector<std::byte>(16)));
  std::vector<std::byte> copy;
  EXPECT_FALSE(ring.reader().record_at(0, 16, copy).has_value()) << "size 0";
  EXPECT_FALSE(ring.reader().record_at(0, 4, copy).has_value()) << "less than a header";
  EXPECT_FALSE(ring.reader().record_at(0, 1024, copy).has_value()) << "more than the ring";
}

TEST(PerfRingReader, GivesRoomBackToTheWriter) {
  FakeRing ring(64);
  ASSERT_TRUE(ring.write_at(1));
  ASSERT_TRUE(ring.write_at(2));
  EXPECT_FALSE(ring.write_at(3));
  ring.reader().release(32);
  EXPECT_TRUE(ring.write_at(3));
}

TEST(PerfRingSet, MergesByTimeAndHoldsBackWhatIsTooNew) {
  FakeRing first(256);
  FakeRing second(256);
  PerfRingSet rings(kLayout);
  rings.add(first.reader());
  rings.add(second.reader());
  for (const std::uint64_t time : {10U, 40U, 60U}) ASSERT_TRUE(first.write_at(time));
  for (const std::uint64_t time : {20U, 30U, 70U}) ASSERT_TRUE(second.write_at(time));
  rings.look();
  EXPECT_THAT(take_times(rings, Nanoseconds{50}), ElementsAre(10, 20, 30, 40));
  // One that was on its way comes in before what was held back.
  ASSERT_TRUE(first.write_at(65));
  ASSERT_TRUE(second.write_at(80));
  rings.look();
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(60, 65, 70, 80));
  rings.release();
  EXPECT_EQ(first.tail(), 4U * 32);
}

TEST(PerfRingSet, ReadsNothingWrittenAfterTheLook) {
  FakeRing ring(256);
  PerfRingSet rings(kLayout);
  rings.add(ring.reader());
  ASSERT_TRUE(ring.write_at(1));
  rings.look();
  ASSERT_TRUE(ring.write_at(2));
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(1));
  rings.look();
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(2));
}

TEST(PerfRingSet, SurvivesManyRoundsAndWraps) {
  FakeRing ring(128);
  PerfRingSet rings(kLayout);
  rings.add(ring.reader());
  for (std::uint64_t time = 1; time < 1000; time += 3) {
    for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(ring.write_at(time + i));
    rings.look();
    ASSERT_THAT(take_times(rings, kForever), ElementsAre(time, time + 1, time + 2));
    rings.release();
  }
}

TEST(PerfRingSet, SkipsARingThatHoldsRubbishAndGoesOnAfterIt) {
  FakeRing ring(256);
  PerfRingSet rings(kLayout);
  rings.add(ring.reader());
  ASSERT_TRUE(ring.write(std::vector<std::byte>(32)));
  rings.look();
  EXPECT_THAT(take_times(rings, kForever), ElementsAre());
  rings.release();
  ASSERT_TRUE(ring.write_at(7));
  rings.look();
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(7));
}

TEST(PerfRingSet, ShowsWhatFollowsInTheSameRing) {
  FakeRing first(256);
  FakeRing second(256);
  PerfRingSet rings(kLayout);
  rings.add(first.reader());
  rings.add(second.reader());
  ASSERT_TRUE(first.write_at(1, 100));
  ASSERT_TRUE(second.write_at(2, 200));
  ASSERT_TRUE(first.write_at(3, 300));
  ASSERT_TRUE(first.write_at(4, 400));
  rings.look();
  const auto item = rings.next(kForever);
  ASSERT_TRUE(item.has_value());
  std::vector<std::uint64_t> ids;
  const auto note = [&](RecordHeader, std::span<const std::byte> bytes) {
    ids.push_back(origin_of(bytes, kLayout)->id);
    return true;
  };
  EXPECT_FALSE(rings.visit_following(*item, note)) << "reached the end";
  EXPECT_THAT(ids, ElementsAre(300, 400));
  EXPECT_TRUE(
      rings.visit_following(*item, [](RecordHeader, std::span<const std::byte>) { return false; }));
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(2, 3, 4)) << "nothing was taken";
}

TEST(PerfRingSet, VisitsEachNewRecordOnceWithoutTakingIt) {
  FakeRing ring(256);
  PerfRingSet rings(kLayout);
  rings.add(ring.reader());
  int visits = 0;
  const auto count = [&](RecordHeader, std::span<const std::byte>) { ++visits; };
  ASSERT_TRUE(ring.write_at(1));
  rings.visit_new(count);
  rings.visit_new(count);
  EXPECT_EQ(visits, 1);
  ASSERT_TRUE(ring.write_at(2));
  rings.visit_new(count);
  EXPECT_EQ(visits, 2);
  rings.look();
  EXPECT_THAT(take_times(rings, kForever), ElementsAre(1, 2));
}

}  // namespace
}  // namespace trapline::linux_port
