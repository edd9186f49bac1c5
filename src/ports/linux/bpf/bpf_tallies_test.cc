#include "ports/linux/bpf/bpf_tallies.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "ports/linux/bpf/value_order.h"

namespace trapline::linux_port {
namespace {

class TallySink final : public SampleSink {
 public:
  void on_sample(const Sample&) override { ADD_FAILURE() << "not asked for"; }
  void on_event(const TargetEvent&) override { ADD_FAILURE() << "not asked for"; }
  void on_lost(std::uint64_t) override { ADD_FAILURE() << "not asked for"; }
  void on_tally(const Tally& tally) override { told.push_back(tally); }

  std::vector<Tally> told;
};

trapline_tally_key key_of(std::uint32_t tid, std::uint64_t ip = 0x40) {
  return {
      .pid = 1, .tid = tid, .slot = 0, .idle_cpu = 0, .ip = ip, .user_stack = 3, .kernel_stack = 0};
}

BpfTally counted(std::uint32_t tid, std::uint64_t count) {
  BpfTally entry{.key = key_of(tid), .tally = {}};
  entry.tally.count = count;
  entry.tally.first = 10;
  entry.tally.last = 20;
  return entry;
}

TEST(BpfTallies, TellWhatIsNewSinceTheLastTime) {
  BpfTallies tallies(ValueOrder::none);
  TallySink sink;
  const std::uint64_t number = tallies.open(key_of(7));
  EXPECT_NE(number, 0U);
  BpfTally entry = counted(7, 5);
  entry.tally.cpus[0] = 1U << 3;
  entry.tally.cpus[1] = 1;
  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  ASSERT_EQ(sink.told.size(), 1U);
  EXPECT_EQ(sink.told[0].number, number);
  EXPECT_EQ(sink.told[0].count, 5U);
  EXPECT_EQ(sink.told[0].first, Nanoseconds{10});
  EXPECT_EQ(sink.told[0].last, Nanoseconds{20});
  CpuSet cpus;
  cpus.insert(CpuId{3});
  cpus.insert(CpuId{64});
  EXPECT_EQ(sink.told[0].cpus, cpus);
  EXPECT_EQ(sink.told[0].lowest.certainty, Certainty::unknown);
  EXPECT_FALSE(sink.told[0].is_last);

  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  EXPECT_EQ(sink.told.size(), 1U) << "nothing was new";
  entry.tally.count = 7;
  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  ASSERT_EQ(sink.told.size(), 2U);
  EXPECT_EQ(sink.told[1].count, 2U);
}

TEST(BpfTallies, WaitForTheHitThatOpensThem) {
  BpfTallies tallies(ValueOrder::none);
  TallySink sink;
  const BpfTally entry = counted(7, 5);
  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  EXPECT_TRUE(sink.told.empty());
  (void)tallies.open(key_of(7));
  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  ASSERT_EQ(sink.told.size(), 1U);
  EXPECT_EQ(sink.told[0].count, 5U);
}

TEST(BpfTallies, OfThreadsThatHaveEndedAreToldOnceMoreAndGivenBack) {
  BpfTallies tallies(ValueOrder::none);
  TallySink sink;
  const std::uint64_t first = tallies.open(key_of(7));
  const std::uint64_t other = tallies.open(key_of(8));
  EXPECT_NE(first, other);
  tallies.thread_ended(ThreadId{7});
  const std::array entries{counted(7, 5), counted(8, 1)};
  const auto done = tallies.tell(entries, sink);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].tid, 7U);
  ASSERT_EQ(sink.told.size(), 2U);
  EXPECT_TRUE(sink.told[0].is_last);
  EXPECT_FALSE(sink.told[1].is_last);

  // A thread with the same number begins anew.
  const std::uint64_t again = tallies.open(key_of(7));
  EXPECT_NE(again, first);
  const std::array later{counted(7, 2), counted(8, 1)};
  EXPECT_TRUE(tallies.tell(later, sink).empty());
  ASSERT_EQ(sink.told.size(), 3U);
  EXPECT_EQ(sink.told[2].number, again);
  EXPECT_EQ(sink.told[2].count, 2U);
}

TEST(BpfTallies, RangesComeBackAsValues) {
  BpfTallies tallies(ValueOrder::as_signed);
  TallySink sink;
  (void)tallies.open(key_of(7));
  BpfTally entry = counted(7, 2);
  entry.tally.value_length = 4;
  entry.tally.lowest = trapline_place_of(0xffff'ffff, TRAPLINE_SIGNED_ORDER, 4);
  entry.tally.highest = trapline_place_of(5, TRAPLINE_SIGNED_ORDER, 4);
  EXPECT_TRUE(tallies.tell(std::span(&entry, 1), sink).empty());
  ASSERT_EQ(sink.told.size(), 1U);
  EXPECT_EQ(sink.told[0].lowest, (MemoryValue{0xffff'ffff, Certainty::exact}));
  EXPECT_EQ(sink.told[0].highest, (MemoryValue{5, Certainty::exact}));
}

template <typename Value>
void expect_places_in_order(std::uint32_t order, std::span<const Value> ascending) {
  using Bits = std::conditional_t<sizeof(Value) == 4, std::uint32_t, std::uint64_t>;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const std::uint64_t bits = std::bit_cast<Bits>(ascending[i]);
    ASSERT_TRUE(trapline_has_place(bits, order, sizeof(Value)));
    const std::uint64_t place = trapline_place_of(bits, order, sizeof(Value));
    EXPECT_EQ(trapline_value_at(place, order, sizeof(Value)), bits) << ascending[i];
    if (i == 0) continue;
    const std::uint64_t before =
        trapline_place_of(std::bit_cast<Bits>(ascending[i - 1]), order, sizeof(Value));
    EXPECT_LT(before, place) << ascending[i - 1] << " < " << ascending[i];
  }
}

TEST(ValueOrderOfPrograms, IsThatOfTheValues) {
  constexpr std::array<std::int32_t, 6> kInts{
      std::numeric_limits<std::int32_t>::min(), -2, -1, 0, 1,
      std::numeric_limits<std::int32_t>::max()};
  constexpr std::array<std::uint64_t, 4> kWords{0, 1, 1ULL << 63, ~0ULL};
  constexpr float kFloatInfinity = std::numeric_limits<float>::infinity();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr std::array<float, 7> kFloats{-kFloatInfinity, -2.5F, -1e-40F,       -0.0F,
                                         1e-40F,          2.5F,  kFloatInfinity};
  constexpr std::array<double, 6> kDoubles{-kInfinity, -2.5, -5e-324, 5e-324, 2.5, kInfinity};
  expect_places_in_order<std::int32_t>(TRAPLINE_SIGNED_ORDER, kInts);
  expect_places_in_order<std::uint64_t>(TRAPLINE_UNSIGNED_ORDER, kWords);
  expect_places_in_order<float>(TRAPLINE_FLOATING_ORDER, kFloats);
  expect_places_in_order<double>(TRAPLINE_FLOATING_ORDER, kDoubles);
}

TEST(ValueOrderOfPrograms, HasNoPlaceForWhatIsNoNumber) {
  EXPECT_FALSE(
      trapline_has_place(std::bit_cast<std::uint32_t>(std::nanf("")), TRAPLINE_FLOATING_ORDER, 4));
  EXPECT_FALSE(
      trapline_has_place(std::bit_cast<std::uint64_t>(-std::nan("")), TRAPLINE_FLOATING_ORDER, 8));
  EXPECT_FALSE(trapline_has_place(1, TRAPLINE_NO_ORDER, 8));
}

}  // namespace
}  // namespace trapline::linux_port
