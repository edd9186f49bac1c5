// try_copy on every combination of defect, side, bytes before the fault, alignment and length. Also
// built for other architectures and run in an emulator (tests/cross).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "ports/linux/fault/fault_test_support.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

using fault::AccessError;
using fault::CopyResult;
using fault::CopySide;
using fault::try_copy;

// Every size that some block of some architecture's copy begins or ends at, and its neighbours; the
// last ones are copied by string instructions on x86.
std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all(72);
  std::iota(all.begin(), all.end(), 0U);
  for (const std::size_t around : {96U, 128U, 192U, 256U, 384U, 512U, 768U, 4096U}) {
    for (const std::size_t size : {around - 1, around, around + 1}) all.push_back(size);
  }
  all.push_back(25'000);
  all.push_back(40'001);
  return all;
}

constexpr std::size_t kLargest = 16 * 4096;
constexpr std::uint8_t kUntouched = 0xee;

std::uint8_t pattern(std::size_t index) {
  return static_cast<std::uint8_t>(1 + index % 223);  // never kUntouched, and no power of two
}

struct Case {
  Defect defect;
  CopySide side;
};
std::string name_of_case(const ::testing::TestParamInfo<Case>& info) {
  return name_of(info.param.defect) +
         (info.param.side == CopySide::source ? "Source" : "Destination");
}

class TryCopyMatrix : public ::testing::TestWithParam<Case> {
 protected:
  TryCopyMatrix() : cliff_(GetParam().defect, kLargest), other_(2 * kLargest) {}

  static void SetUpTestSuite() { ASSERT_TRUE(fault::install_fault_handler()); }

  [[nodiscard]] bool reads_from_the_cliff() const { return GetParam().side == CopySide::source; }

  // Copies `length` bytes of which `before` can be, with the other side at `misalignment`.
  void copy_to_the_edge(std::size_t before, std::size_t misalignment, std::size_t length) {
    std::uint8_t* const at_cliff = cliff_.edge() - before;
    std::uint8_t* const elsewhere = other_.data() + 64 + misalignment;
    std::uint8_t* const from = reads_from_the_cliff() ? at_cliff : elsewhere;
    std::uint8_t* const to = reads_from_the_cliff() ? elsewhere : at_cliff;
    const std::size_t readable = reads_from_the_cliff() ? before : length;
    const std::size_t writable = reads_from_the_cliff() ? length : before;
    for (std::size_t i = 0; i < readable; ++i) from[i] = pattern(i);
    std::memset(to - std::min<std::size_t>(32, room_before(to)), kUntouched,
                writable + std::min<std::size_t>(32, room_before(to)));

    const CopyResult result = try_copy(to, from, length);

    EXPECT_EQ(result.copied, before);
    EXPECT_EQ(result.side, GetParam().side);
    EXPECT_EQ(result.error, (AccessError{AccessError::Stage::faulted, kind_of(GetParam().defect),
                                         cliff_.edge_address()}));
    EXPECT_TRUE(std::equal(to, to + before, from)) << "what was copied is not what was there";
    EXPECT_TRUE(std::all_of(to + before, to + writable, is_untouched)) << "written too far";
    EXPECT_TRUE(std::all_of(to - std::min<std::size_t>(32, room_before(to)), to, is_untouched));
  }

  static bool is_untouched(std::uint8_t byte) { return byte == kUntouched; }
  [[nodiscard]] std::size_t room_before(const std::uint8_t* to) const {
    return static_cast<std::size_t>(to - (reads_from_the_cliff() ? other_.data() : cliff_.begin()));
  }

  Cliff cliff_;
  std::vector<std::uint8_t> other_;
};

// An emulator takes a hundred times as long: every size there too, but fewer combinations.
std::vector<std::size_t> values(std::vector<std::size_t> all, std::vector<std::size_t> emulated) {
  return std::getenv("TRAPLINE_EMULATED") != nullptr ? emulated : all;
}

TEST_P(TryCopyMatrix, CopiesExactlyToTheEdge) {
  for (const std::size_t before : sizes()) {
    for (const std::size_t misalignment : values({0, 1, 3, 8, 15, 16, 33}, {0, 3})) {
      for (const std::size_t beyond : values({1, 2, 9, 31, 64, 300, 4000}, {1, 40})) {
        copy_to_the_edge(before, misalignment, before + beyond);
        if (HasFailure()) {
          FAIL() << before << " before the edge, misaligned by " << misalignment << ", " << beyond
                 << " beyond";
        }
      }
    }
  }
}

TEST_P(TryCopyMatrix, NothingIsCopiedFromTheOtherSideOfABadPage) {
  for (const std::size_t inside : {1U, 2U, 7U, 15U, 31U, 33U, 63U}) {
    for (const std::size_t length : {64U, 65U, 128U, 200U, 300U, 600U, 4000U}) {
      std::uint8_t* const at_cliff = cliff_.far_side() - inside;
      std::uint8_t* const elsewhere = other_.data() + 64;
      std::memset(cliff_.far_side(), kUntouched, length - inside);
      std::memset(elsewhere, 7, length);
      std::uint8_t* const from = reads_from_the_cliff() ? at_cliff : elsewhere;
      std::uint8_t* const to = reads_from_the_cliff() ? elsewhere : at_cliff;
      const CopyResult result = try_copy(to, from, length);
      EXPECT_EQ(result.copied, 0U);
      EXPECT_EQ(result.side, GetParam().side);
      EXPECT_EQ(result.error.address, reinterpret_cast<std::uintptr_t>(at_cliff));
      const std::uint8_t* const good = reads_from_the_cliff() ? elsewhere : cliff_.far_side();
      const std::uint8_t before = reads_from_the_cliff() ? 7 : kUntouched;
      EXPECT_TRUE(std::all_of(good, good + (length - inside),
                              [&](std::uint8_t byte) { return byte == before; }));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Defects, TryCopyMatrix,
                         ::testing::Values(Case{Defect::unmapped, CopySide::source},
                                           Case{Defect::unmapped, CopySide::destination},
                                           Case{Defect::no_access, CopySide::source},
                                           Case{Defect::no_access, CopySide::destination},
                                           Case{Defect::read_only, CopySide::destination},
                                           Case{Defect::truncated, CopySide::source},
                                           Case{Defect::truncated, CopySide::destination}),
                         name_of_case);

TEST(TryCopy, GoodMemoryIsCopiedAndNothingElse) {
  ASSERT_TRUE(fault::install_fault_handler());
  std::vector<std::uint8_t> from(kLargest);
  std::vector<std::uint8_t> to(kLargest + 256);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = pattern(i);
  for (const std::size_t length : sizes()) {
    for (const std::size_t misalignment : {0U, 1U, 5U, 8U, 31U}) {
      std::fill(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(length) + 200, kUntouched);
      const CopyResult result = try_copy(to.data() + 64 + misalignment, from.data() + 3, length);
      EXPECT_TRUE(result.is_complete());
      ASSERT_EQ(result.copied, length);
      std::vector<std::uint8_t> expected(length + 200, kUntouched);
      std::copy_n(from.data() + 3, length, expected.data() + 64 + misalignment);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), to.begin()))
          << length << " " << misalignment;
    }
  }
}

TEST(TryCopy, BothSidesBadIsTheSourcesFault) {
  ASSERT_TRUE(fault::install_fault_handler());
  const Cliff from(Defect::no_access);
  const Cliff to(Defect::unmapped);
  const CopyResult result = try_copy(to.edge(), from.edge(), 100);
  EXPECT_EQ(result.copied, 0U);
  EXPECT_EQ(result.side, CopySide::source);
}

TEST(TryCopy, NothingIsDoneForNothing) {
  const CopyResult result = try_copy(nullptr, nullptr, 0);
  EXPECT_TRUE(result.is_complete());
  EXPECT_EQ(result.copied, 0U);
}

}  // namespace
}  // namespace trapline::linux_port
