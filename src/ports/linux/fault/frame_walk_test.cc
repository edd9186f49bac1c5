// Chains of frames, made by hand and then damaged in one place: what is found has to be what comes
// before the damage. And the chain of real code.
#include "trapline/fault/frame_walk.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "ports/linux/fault/fault_test_support.h"
#include "trapline/isa/frame_layout.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

using fault::StackPosition;
using fault::walk_frames;

constexpr std::size_t kWord = sizeof(std::uintptr_t);
constexpr std::size_t kFrames = 6;
constexpr std::size_t kFrameBytes = 16 * kWord;

std::uintptr_t return_address_of(std::size_t frame) {
  return 0x400100 + frame * 0x10;
}

// A stack of kFrames frames below memory that cannot be read. The last says that it is the last.
class Chain {
 public:
  explicit Chain(const isa::FrameLayout& layout) : layout_(layout), cliff_(Defect::no_access, 1) {
    for (std::size_t i = 0; i < kFrames; ++i) {
      set_saved_frame(i, i + 1 < kFrames ? frame(i + 1) : 0);
      set_return_address(i, return_address_of(i));
    }
  }

  [[nodiscard]] std::uintptr_t frame(std::size_t index) const {
    return cliff_.edge_address() - (kFrames - index) * kFrameBytes;
  }
  [[nodiscard]] std::uintptr_t edge() const { return cliff_.edge_address(); }
  void set_saved_frame(std::size_t index, std::uintptr_t value) {
    store(frame(index) + static_cast<std::uintptr_t>(layout_.saved_frame), value);
  }
  void set_return_address(std::size_t index, std::uintptr_t value) {
    store(frame(index) + static_cast<std::uintptr_t>(layout_.return_address), value);
  }

  [[nodiscard]] std::vector<std::uintptr_t> walk(std::size_t limit = 64) const {
    return walk_from(frame(0), limit);
  }
  [[nodiscard]] std::vector<std::uintptr_t> walk_from(std::uintptr_t start,
                                                      std::size_t limit = 64) const {
    std::vector<std::uintptr_t> callers(limit);
    const StackPosition from{frame(0) - 4 * kWord, start};
    callers.resize(walk_frames(from, callers));
    return callers;
  }

 private:
  static void store(std::uintptr_t address, std::uintptr_t value) {
    std::memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
  }

  isa::FrameLayout layout_;
  Cliff cliff_;
};

std::vector<std::uintptr_t> first_callers(std::size_t count) {
  std::vector<std::uintptr_t> callers;
  for (std::size_t i = 0; i < count; ++i) callers.push_back(return_address_of(i));
  return callers;
}

// With several layouts a frame that saved no frame pointer is of none of them.
constexpr bool kFramesAreRecognised = isa::kFrameLayouts.size() > 1;

// Of the later ones, a frame that has saved 0 is not recognised.
bool is_outermost_told(const isa::FrameLayout& layout) {
  return layout.saved_frame == isa::kFrameLayouts.front().saved_frame;
}

// What is wrong with one frame, and whether what it returns to can be told all the same.
struct Damage {
  std::string name;
  bool leaves_return_address = true;
  std::function<void(Chain&, std::size_t)> apply;
};

// A frame pointer that points to the wrong place.
Damage wrong_pointer(std::string name,
                     const std::function<std::uintptr_t(const Chain&, std::size_t)>& value) {
  return {std::move(name), !kFramesAreRecognised, [value](Chain& chain, std::size_t index) {
            chain.set_saved_frame(index, value(chain, index));
          }};
}

const std::string kOutermost = "IsTheOutermost";

std::vector<Damage> damages() {
  std::vector<Damage> all{
      wrong_pointer("ToItself", [](const Chain& chain, std::size_t i) { return chain.frame(i); }),
      wrong_pointer("ToTheFirst", [](const Chain& chain, std::size_t) { return chain.frame(0); }),
      wrong_pointer("OneWordDown",
                    [](const Chain& chain, std::size_t i) { return chain.frame(i) - kWord; }),
      wrong_pointer("Misaligned",
                    [](const Chain& chain, std::size_t i) { return chain.frame(i) + kWord + 1; }),
      wrong_pointer(
          "HalfAligned",
          [](const Chain& chain, std::size_t i) { return chain.frame(i) + kWord + kWord / 2; }),
      wrong_pointer("FarAway",
                    [](const Chain& chain, std::size_t i) {
                      return chain.frame(i) + fault::kLargestFrame + 2 * kWord;
                    }),
      wrong_pointer("LastAddress",
                    [](const Chain&, std::size_t) { return ~std::uintptr_t{0} - kWord + 1; }),
      wrong_pointer(
          "OutsideTheAddressSpace",
          [](const Chain&, std::size_t) { return (std::uintptr_t{3} << (8 * kWord - 2)) + kWord; }),
      wrong_pointer("AllOnes", [](const Chain&, std::size_t) { return ~std::uintptr_t{0}; }),
  };
  all.push_back({"Unreadable", true,
                 [](Chain& chain, std::size_t i) { chain.set_saved_frame(i, chain.edge()); }});
  all.push_back(
      {"IsTheOutermost", true, [](Chain& chain, std::size_t i) { chain.set_saved_frame(i, 0); }});
  all.push_back({"ReturnsToNull", false,
                 [](Chain& chain, std::size_t i) { chain.set_return_address(i, 0); }});
  return all;
}

// Every damage in every frame of every layout.
TEST(DamagedChain, EndsTheWalkAndNothingElse) {
  ASSERT_TRUE(fault::install_fault_handler());
  for (const isa::FrameLayout& layout : isa::kFrameLayouts) {
    for (const Damage& damage : damages()) {
      for (std::size_t at = 0; at < kFrames; ++at) {
        Chain chain(layout);
        damage.apply(chain, at);
        const bool is_told = damage.leaves_return_address &&
                             (damage.name != kOutermost || is_outermost_told(layout));
        EXPECT_EQ(chain.walk(), first_callers(at + (is_told ? 1 : 0)))
            << damage.name << " at " << at << ", saved at " << layout.saved_frame;
      }
    }
  }
}

class WholeChain : public ::testing::TestWithParam<isa::FrameLayout> {
 protected:
  void SetUp() override { ASSERT_TRUE(fault::install_fault_handler()); }
};
INSTANTIATE_TEST_SUITE_P(Layouts, WholeChain, ::testing::ValuesIn(isa::kFrameLayouts));

TEST_P(WholeChain, IsFoundToItsEnd) {
  const std::size_t told = is_outermost_told(GetParam()) ? kFrames : kFrames - 1;
  EXPECT_EQ(Chain(GetParam()).walk(), first_callers(told));
}

TEST_P(WholeChain, IsFoundAsFarAsThereIsRoom) {
  const Chain chain(GetParam());
  for (std::size_t limit = 0; limit < kFrames; ++limit) {
    EXPECT_EQ(chain.walk(limit), first_callers(limit));
  }
}

TEST_P(WholeChain, MayStartWithAPointerThatIsNone) {
  const Chain chain(GetParam());
  const std::uintptr_t below_the_stack = chain.frame(0) - 5 * kWord;
  for (const std::uintptr_t start :
       {std::uintptr_t{0}, std::uintptr_t{kWord}, below_the_stack, chain.frame(0) + 1, chain.edge(),
        chain.edge() + kWord, ~std::uintptr_t{0}}) {
    EXPECT_EQ(chain.walk_from(start), first_callers(0)) << std::hex << start;
  }
}

// A frame of which the first word can be read and the second cannot.
TEST_P(WholeChain, EndsAtAFrameThatIsHalfUnreadable) {
  const Cliff cliff(Defect::no_access, 1);
  const std::uintptr_t frame = cliff.edge_address() - kWord;
  std::array<std::uintptr_t, 4> callers{};
  if (GetParam().saved_frame == 0) {
    EXPECT_EQ(walk_frames({frame, frame}, callers), 0U);
  } else {
    EXPECT_EQ(walk_frames({frame, frame + kWord}, callers), 0U);
  }
}

struct Walked {
  std::array<std::uintptr_t, 64> callers{};
  std::size_t count = 0;
};

[[gnu::noinline]] Walked walk_from_here() {
  Walked walked;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  walked.count = walk_frames({here - fault::kLargestFrame / 2, here}, walked.callers);
  return walked;
}

[[gnu::noinline]] Walked recurse(int depth) {
  Walked walked = depth == 0 ? walk_from_here() : recurse(depth - 1);
  walked.callers.back() = 0;  // no tail call
  return walked;
}

TEST(RealFrames, ShowEveryLevelOfARecursion) {
  ASSERT_TRUE(fault::install_fault_handler());
  constexpr std::size_t kDepth = 32;
  const Walked walked = recurse(kDepth);
  ASSERT_GE(walked.count, kDepth + 2);
  // One return address in the innermost, which called another function; then always the same.
  for (std::size_t i = 2; i <= kDepth; ++i) {
    EXPECT_EQ(walked.callers[i], walked.callers[1]) << i;
  }
  EXPECT_NE(walked.callers[kDepth + 1], walked.callers[1]);
}

}  // namespace
}  // namespace trapline::linux_port
