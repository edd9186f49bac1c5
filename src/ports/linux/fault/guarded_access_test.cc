// Single accesses and ranges, on addresses of every kind. Also built for other architectures and
// run in an emulator (tests/cross): so GoogleTest alone.
#include "trapline/linux/guarded_access.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "ports/linux/fault/fault_test_support.h"
#include "test_instructions.h"

namespace trapline::linux_port {
namespace {

using fault::AccessError;
using fault::FaultKind;
using fault::try_compare_exchange;
using fault::try_exchange;
using fault::try_fill;
using fault::try_load;
using fault::try_store;
using fault::try_strnlen;

class FaultHandler : public ::testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(fault::install_fault_handler()); }
};
const auto* const kFaultHandler = ::testing::AddGlobalTestEnvironment(new FaultHandler);

AccessError faulted(FaultKind kind, std::uintptr_t address) {
  return {AccessError::Stage::faulted, kind, address};
}

template <typename T>
class GuardedScalar : public ::testing::Test {};
using Words = ::testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(GuardedScalar, Words);

// A value whose bytes all differ, from 1 on.
template <typename T>
T counted(unsigned first = 1) {
  std::uint64_t value = 0;
  for (unsigned byte = 0; byte < 8; ++byte) {
    value |= std::uint64_t{first + byte} << (8 * byte);
  }
  return static_cast<T>(value);
}

TYPED_TEST(GuardedScalar, GoodMemoryIsAccessedAsAlways) {
  alignas(8) TypeParam object = counted<TypeParam>();
  EXPECT_EQ(try_load(&object), counted<TypeParam>());
  EXPECT_TRUE(try_store(&object, counted<TypeParam>(20)));
  EXPECT_EQ(object, counted<TypeParam>(20));
  EXPECT_EQ(try_exchange(&object, counted<TypeParam>(40)), counted<TypeParam>(20));
  EXPECT_EQ(object, counted<TypeParam>(40));
}

TYPED_TEST(GuardedScalar, CompareExchangeTellsWhetherItWas) {
  alignas(8) TypeParam object = counted<TypeParam>();
  TypeParam expected = counted<TypeParam>();
  EXPECT_EQ(try_compare_exchange(&object, expected, counted<TypeParam>(9)), true);
  EXPECT_EQ(object, counted<TypeParam>(9));
  expected = counted<TypeParam>(30);
  EXPECT_EQ(try_compare_exchange(&object, expected, counted<TypeParam>(50)), false);
  EXPECT_EQ(expected, counted<TypeParam>(9));
  EXPECT_EQ(object, counted<TypeParam>(9));
}

TYPED_TEST(GuardedScalar, NeighboursAreLeftAlone) {
  alignas(8)
      TypeParam three[3] = {counted<TypeParam>(1), counted<TypeParam>(2), counted<TypeParam>(3)};
  EXPECT_TRUE(try_store(&three[1], TypeParam{0}));
  EXPECT_TRUE(try_exchange(&three[1], TypeParam{7}));
  TypeParam expected{7};
  EXPECT_TRUE(try_compare_exchange(&three[1], expected, TypeParam{8}));
  EXPECT_EQ(three[0], counted<TypeParam>(1));
  EXPECT_EQ(three[1], TypeParam{8});
  EXPECT_EQ(three[2], counted<TypeParam>(3));
}

TYPED_TEST(GuardedScalar, UnreadableMemoryIsAResultForEveryAccess) {
  for (const Defect defect : {Defect::unmapped, Defect::no_access, Defect::truncated}) {
    const Cliff cliff(defect);
    auto* const bad = cliff.at_edge<TypeParam>();
    const AccessError error = faulted(kind_of(defect), cliff.edge_address());
    EXPECT_EQ(try_load(bad), std::unexpected(error)) << name_of(defect);
    EXPECT_EQ(try_store(bad, TypeParam{1}), std::unexpected(error)) << name_of(defect);
    EXPECT_EQ(try_exchange(bad, TypeParam{1}), std::unexpected(error)) << name_of(defect);
    TypeParam expected{5};
    EXPECT_EQ(try_compare_exchange(bad, expected, TypeParam{1}), std::unexpected(error))
        << name_of(defect);
    EXPECT_EQ(expected, TypeParam{5});
  }
}

TYPED_TEST(GuardedScalar, ReadOnlyMemoryIsReadAndNotWritten) {
  const Cliff cliff(Defect::read_only);
  auto* const bad = cliff.at_edge<TypeParam>();
  const AccessError error = faulted(FaultKind::no_permission, cliff.edge_address());
  EXPECT_EQ(try_load(bad), TypeParam{0});
  EXPECT_EQ(try_store(bad, TypeParam{1}), std::unexpected(error));
  EXPECT_EQ(try_exchange(bad, TypeParam{1}), std::unexpected(error));
  TypeParam expected{0};
  EXPECT_EQ(try_compare_exchange(bad, expected, TypeParam{1}), std::unexpected(error));
  EXPECT_EQ(*bad, TypeParam{0});
}

TYPED_TEST(GuardedScalar, NullAndItsPageAreResults) {
  for (const std::uintptr_t address : {std::uintptr_t{0}, std::uintptr_t{8}}) {
    auto* const bad = reinterpret_cast<TypeParam*>(address);
    const AccessError error = faulted(FaultKind::unmapped, address);
    EXPECT_EQ(try_load(bad), std::unexpected(error));
    EXPECT_EQ(try_store(bad, TypeParam{1}), std::unexpected(error));
    EXPECT_EQ(try_exchange(bad, TypeParam{1}), std::unexpected(error));
  }
}

TYPED_TEST(GuardedScalar, KernelAddressesAreResults) {
  // The last aligned word of the address space: the kernel's everywhere.
  const std::uintptr_t address = std::numeric_limits<std::uintptr_t>::max() - 15;
  const auto loaded = try_load(reinterpret_cast<TypeParam*>(address));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().address, address);
  const auto stored = try_store(reinterpret_cast<TypeParam*>(address), TypeParam{1});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().address, address);
}

TYPED_TEST(GuardedScalar, MisalignedAtomicAccessIsRejectedBeforeMemoryIsTouched) {
  if (sizeof(TypeParam) == 1) return;  // nothing is misaligned for a byte
  const std::uintptr_t address = 1;    // touching it would be a fault
  const AccessError rejected{AccessError::Stage::rejected, FaultKind::misaligned, address};
  auto* const bad = reinterpret_cast<TypeParam*>(address);
  EXPECT_EQ(try_exchange(bad, TypeParam{1}), std::unexpected(rejected));
  TypeParam expected{};
  EXPECT_EQ(try_compare_exchange(bad, expected, TypeParam{1}), std::unexpected(rejected));
}

// qemu-arm hands si_addr of a SIGBUS on untranslated (7.2); of a SIGSEGV it does not.
bool emulator_gives_own_addresses() {
  return sizeof(void*) == 4 && std::getenv("TRAPLINE_EMULATED") != nullptr;
}

// At every offset across an edge: the first byte behind it is what is told, and a store leaves
// nothing.
TYPED_TEST(GuardedScalar, AccessAcrossAnEdgeTellsTheFirstByteBehindIt) {
  if (sizeof(TypeParam) > kLargestUnaligned) return;
  for (const Defect defect : {Defect::unmapped, Defect::no_access, Defect::truncated}) {
    if (defect == Defect::truncated && emulator_gives_own_addresses()) {
      std::puts("left out: a SIGBUS of this emulator has an address of its own, not the program's");
      continue;
    }
    const Cliff cliff(defect);
    for (std::ptrdiff_t before = 1; before < static_cast<std::ptrdiff_t>(sizeof(TypeParam));
         ++before) {
      auto* const across = cliff.at_edge<TypeParam>(-before);
      const auto loaded = try_load(across);
      ASSERT_FALSE(loaded) << before;
      EXPECT_EQ(loaded.error(), faulted(kind_of(defect), cliff.edge_address())) << before;
      const auto stored = try_store(across, counted<TypeParam>());
      ASSERT_FALSE(stored) << before;
      EXPECT_EQ(stored.error(), faulted(kind_of(defect), cliff.edge_address())) << before;
      if (kStoresAcrossPagesAreWhole) {
        EXPECT_EQ(cliff.edge()[-1], 0) << before;
      }
    }
  }
}

TEST(GuardedValue, AnyTypeOfThatSizeIsLoadedAndStored) {
  struct Pair {
    std::int16_t a, b;
    bool operator==(const Pair&) const = default;
  };
  Pair pair{-1, 2};
  EXPECT_EQ(try_load(&pair), (Pair{-1, 2}));
  EXPECT_TRUE(try_store(&pair, {3, 4}));
  EXPECT_EQ(pair, (Pair{3, 4}));
  double number = 1.5;
  EXPECT_EQ(try_load(&number), 1.5);
  const volatile int constant = 3;
  EXPECT_EQ(try_load(&constant), 3);
  const volatile int* pointer = nullptr;
  EXPECT_TRUE(try_store(&pointer, &constant));
  EXPECT_EQ(try_load(&pointer), &constant);
}

TEST(GuardedValue, ManyFaultsInARowAreAllTold) {
  const Cliff cliff(Defect::no_access);
  int told = 0;
  for (int i = 0; i < 1000; ++i) told += try_load(cliff.at_edge<int>()) ? 0 : 1;
  EXPECT_EQ(told, 1000);
}

// What the compiler keeps in registers around the access has to survive the fault.
TEST(GuardedValue, LiveRegistersSurviveTheFault) {
  const Cliff cliff(Defect::unmapped);
  std::uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
  double x = 0.5;
  for (int i = 0; i < 100; ++i) {
    const auto loaded = try_load(cliff.at_edge<std::uint32_t>());
    a += loaded ? 100U : 1U;
    b += a, c += b, d ^= c, e += d, f ^= e, g += f, h ^= g;
    x = x * 1.5 + (loaded ? 0 : 1);
  }
  std::uint64_t a2 = 1, b2 = 2, c2 = 3, d2 = 4, e2 = 5, f2 = 6, g2 = 7, h2 = 8;
  double x2 = 0.5;
  for (int i = 0; i < 100; ++i) {
    a2 += 1;
    b2 += a2, c2 += b2, d2 ^= c2, e2 += d2, f2 ^= e2, g2 += f2, h2 ^= g2;
    x2 = x2 * 1.5 + 1;
  }
  EXPECT_EQ(h, h2);
  EXPECT_EQ(x, x2);
}

TEST(GuardedValue, ErrnoIsLeftAlone) {
  errno = 77;
  EXPECT_FALSE(try_load(reinterpret_cast<int*>(std::uintptr_t{16})));
  EXPECT_EQ(errno, 77);
}

TEST(TryFill, FillsExactlyToTheEdge) {
  for (const Defect defect :
       {Defect::unmapped, Defect::no_access, Defect::read_only, Defect::truncated}) {
    const Cliff cliff(defect);
    for (std::size_t before = 0; before < 40; ++before) {
      std::memset(cliff.edge() - 64, 0, 64);
      const auto filled = try_fill(cliff.edge() - before, 0xa5, before + 24);
      EXPECT_EQ(filled.filled, before) << name_of(defect);
      EXPECT_FALSE(filled.is_complete());
      EXPECT_EQ(filled.error, faulted(kind_of(defect), cliff.edge_address())) << name_of(defect);
      for (std::size_t i = 1; i <= 64; ++i) {
        ASSERT_EQ(cliff.edge()[-static_cast<std::ptrdiff_t>(i)], i <= before ? 0xa5 : 0) << i;
      }
    }
  }
}

TEST(TryFill, GoodMemoryIsFilledAndNothingElse) {
  std::uint8_t bytes[80];
  for (std::size_t from = 0; from < 20; ++from) {
    for (std::size_t count = 0; count < 40; ++count) {
      std::memset(bytes, 1, sizeof bytes);
      EXPECT_TRUE(try_fill(bytes + from, 9, count).is_complete());
      for (std::size_t i = 0; i < sizeof bytes; ++i) {
        ASSERT_EQ(bytes[i], i >= from && i < from + count ? 9 : 1) << from << " " << count;
      }
    }
  }
}

TEST(TryStrnlen, FindsTheEndBeforeTheEdge) {
  for (const Defect defect : {Defect::unmapped, Defect::no_access, Defect::truncated}) {
    const Cliff cliff(defect);
    for (std::size_t length = 0; length < 40; ++length) {
      char* const text = cliff.at_edge<char>(-static_cast<std::ptrdiff_t>(length) - 1);
      std::memset(text, 'x', length);
      text[length] = '\0';
      EXPECT_EQ(try_strnlen(text, std::numeric_limits<std::size_t>::max()), length);
      EXPECT_EQ(try_strnlen(text, 1000), length);
      EXPECT_EQ(try_strnlen(text, length / 2), length / 2);
    }
  }
}

TEST(TryStrnlen, TextThatReachesTheEdgeIsAnErrorThereUnlessTheLimitComesFirst) {
  for (const Defect defect : {Defect::unmapped, Defect::no_access, Defect::truncated}) {
    const Cliff cliff(defect);
    for (std::size_t length = 0; length < 40; ++length) {
      char* const text = cliff.at_edge<char>(-static_cast<std::ptrdiff_t>(length));
      std::memset(text, 'x', length);
      EXPECT_EQ(try_strnlen(text, length + 50),
                std::unexpected(faulted(kind_of(defect), cliff.edge_address())));
      EXPECT_EQ(try_strnlen(text, length), length);
    }
  }
}

TEST(Ranges, ThatPassTheEndOfMemoryAreRejected) {
  std::uint8_t good[16] = {};
  auto* const last = reinterpret_cast<std::uint8_t*>(~std::uintptr_t{0} - 7);
  const AccessError rejected{AccessError::Stage::rejected, FaultKind::not_an_address,
                             ~std::uintptr_t{0} - 7};
  EXPECT_EQ(try_fill(last, 0, 9).error, rejected);
  EXPECT_EQ(fault::try_copy(last, good, 9).error, rejected);
  EXPECT_EQ(fault::try_copy(last, good, 9).side, fault::CopySide::destination);
  EXPECT_EQ(fault::try_copy(good, last, 9).error, rejected);
  EXPECT_EQ(fault::try_copy(good, last, 9).side, fault::CopySide::source);
}

TEST(TryExecute, GoodInstructionIsDone) {
  EXPECT_TRUE(TRAPLINE_TRY_EXECUTE("nop"));
}

TEST(TryExecute, UndefinedInstructionIsTold) {
  const auto outcome = TRAPLINE_TRY_EXECUTE(TEST_UNDEFINED_INSTRUCTION);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, FaultKind::bad_instruction);
}

TEST(TryExecute, BreakpointInstructionIsTold) {
  const auto outcome = TRAPLINE_TRY_EXECUTE(TEST_BREAKPOINT_INSTRUCTION);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, FaultKind::breakpoint);
}

TEST(TryExecute, InstructionThatIsNotPermittedIsTold) {
  const auto outcome = TRAPLINE_TRY_EXECUTE(TEST_PRIVILEGED_INSTRUCTION, TEST_PRIVILEGED_CLOBBER);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, FaultKind::bad_instruction);
}

// One that the user writes: guarded for writing, so a fault while reading is not its business.
TEST(OwnAssembly, EntryBesideTheInstructionRecoversIt) {
  TRAPLINE_FAULT_WORD(word);
  __asm__ volatile(
      TRAPLINE_GUARDED(TEST_STORE_TO_NULL, TRAPLINE_GUARD_WRITE | TRAPLINE_GUARD_FAULT_WORD)
      : "+r"(word)
      : "r"(std::uintptr_t{0})
      : "memory");
  EXPECT_EQ(fault::kind_of_fault(word), FaultKind::unmapped);
}

}  // namespace
}  // namespace trapline::linux_port
