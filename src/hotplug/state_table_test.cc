#include "trapline/hotplug/state_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace trapline::hotplug {
namespace {

constexpr StateLayout kLayout{.prepare_fixed = 2,
                              .prepare_dynamic = 1,
                              .starting_fixed = 1,
                              .online_fixed = 1,
                              .online_dynamic = 2};

class StateTableTest : public ::testing::Test {
 protected:
  std::string reserve(Placement placement, std::string_view name = "a") {
    const auto number = table_.reserve({.name = name, .placement = placement}, false);
    return number ? std::to_string(number->value) : std::string(name_of(number.error().code));
  }

  std::array<StateRecord, kLayout.count()> records_;
  StateTable table_{kLayout, records_};
};

TEST(StateLayoutTest, NumbersAscendThroughTheSectionsAndTheStepsBetween) {
  EXPECT_EQ(StateLayout::offline().value, 0);
  EXPECT_EQ(kLayout.bringup().value, 4);
  EXPECT_EQ(kLayout.running().value, 6);
  EXPECT_EQ(kLayout.online().value, 10);
  EXPECT_EQ(kLayout.count(), 11U);
  std::vector<std::optional<Section>> sections;
  for (std::uint16_t number = 0; number < kLayout.count(); ++number)
    sections.push_back(kLayout.section_of(StateNumber{number}));
  EXPECT_THAT(sections, ::testing::ElementsAre(std::nullopt, Section::prepare, Section::prepare,
                                               Section::prepare, std::nullopt, Section::starting,
                                               std::nullopt, Section::online, Section::online,
                                               Section::online, std::nullopt));
  EXPECT_EQ(kLayout.section_of(StateNumber{11}), std::nullopt);
  EXPECT_EQ(kLayout.section_of(StateNumber{65535}), std::nullopt);
}

TEST(StateLayoutTest, ALayoutWithoutStatesHasOnlyTheBuiltInSteps) {
  constexpr StateLayout kEmpty{.prepare_fixed = 0,
                               .prepare_dynamic = 0,
                               .starting_fixed = 0,
                               .online_fixed = 0,
                               .online_dynamic = 0};
  EXPECT_EQ(kEmpty.count(), 4U);
  for (std::uint16_t number = 0; number < 5; ++number)
    EXPECT_EQ(kEmpty.section_of(StateNumber{number}), std::nullopt) << number;
}

TEST_F(StateTableTest, AFixedStateGetsTheNumberItAsksFor) {
  EXPECT_EQ(reserve(Placement::fixed(Section::prepare, 1)), "2");
  EXPECT_EQ(reserve(Placement::fixed(Section::starting, 0)), "5");
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0)), "7");
}

TEST_F(StateTableTest, DynamicStatesComeBehindTheFixedOnes) {
  EXPECT_EQ(reserve(Placement::dynamic(Section::prepare)), "3");
  EXPECT_EQ(reserve(Placement::dynamic(Section::online)), "8");
  EXPECT_EQ(reserve(Placement::dynamic(Section::online)), "9");
}

TEST_F(StateTableTest, AnExhaustedDynamicRangeIsFullUntilOneIsReleased) {
  EXPECT_EQ(reserve(Placement::dynamic(Section::prepare)), "3");
  EXPECT_EQ(reserve(Placement::dynamic(Section::prepare)), "range_full");
  table_.release(StateNumber{3});
  EXPECT_EQ(reserve(Placement::dynamic(Section::prepare)), "3");
}

TEST_F(StateTableTest, ATakenNumberIsRefusedAndKeepsItsState) {
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0), "mine"), "7");
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0), "theirs"), "number_taken");
  EXPECT_EQ(table_.name(StateNumber{7}), "mine");
}

TEST_F(StateTableTest, WhatTheLayoutHasNoRoomForIsABadNumber) {
  EXPECT_EQ(reserve(Placement::fixed(Section::prepare, 2)), "bad_number") << "a dynamic one's";
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 65535)), "bad_number");
  EXPECT_EQ(reserve(Placement::dynamic(Section::starting)), "bad_number");
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0), ""), "bad_number") << "no name";
  for (const StateRecord& record : records_) EXPECT_FALSE(record.in_use);
}

TEST_F(StateTableTest, ANumberGivenOutAgainHasAnotherGeneration) {
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0)), "7");
  const std::uint32_t first = table_.at(StateNumber{7}).generation;
  table_.release(StateNumber{7});
  EXPECT_EQ(reserve(Placement::fixed(Section::online, 0)), "7");
  EXPECT_NE(table_.at(StateNumber{7}).generation, first);
}

TEST_F(StateTableTest, AReleasedStateHasNothingToCall) {
  const auto callback = [](const CallbackContext&) -> std::expected<void, Error> { return {}; };
  const auto number =
      table_.reserve({.name = "a", .startup = callback, .teardown = callback}, true);
  ASSERT_TRUE(number.has_value());
  table_.release(*number);
  const StateRecord& record = table_.at(*number);
  EXPECT_EQ(record.callback(Direction::startup), nullptr);
  EXPECT_EQ(record.callback(Direction::teardown), nullptr);
  EXPECT_FALSE(record.is_multi);
  EXPECT_EQ(table_.name(*number), "");
}

TEST_F(StateTableTest, BuiltInStepsHaveNames) {
  EXPECT_EQ(table_.name(StateLayout::offline()), "offline");
  EXPECT_EQ(table_.name(kLayout.bringup()), "cpu:bringup");
  EXPECT_EQ(table_.name(kLayout.running()), "cpu:running");
  EXPECT_EQ(table_.name(kLayout.online()), "online");
  EXPECT_EQ(table_.name(StateNumber{7}), "");
}

struct TestInstance : Instance {};

class InstanceListTest : public ::testing::Test {
 protected:
  // The positions of first, second and third in the list; both ways must agree.
  [[nodiscard]] std::vector<int> order() const {
    std::vector<int> forward;
    for (Instance* it = list_.first(); it != nullptr; it = InstanceList::next(*it))
      forward.push_back(index_of(it));
    std::vector<int> backward;
    for (Instance* it = list_.last(); it != nullptr; it = InstanceList::previous(*it))
      backward.insert(backward.begin(), index_of(it));
    EXPECT_EQ(forward, backward);
    return forward;
  }
  void fill() {
    for (TestInstance& instance : instances_) list_.append(instance);
  }

  std::array<TestInstance, 3> instances_;
  InstanceList list_;

 private:
  [[nodiscard]] int index_of(const Instance* instance) const {
    return static_cast<int>(static_cast<const TestInstance*>(instance) - instances_.data());
  }
};

TEST_F(InstanceListTest, KeepsTheOrderInWhichTheyWereAdded) {
  EXPECT_TRUE(list_.empty());
  fill();
  EXPECT_THAT(order(), ::testing::ElementsAre(0, 1, 2));
  EXPECT_FALSE(list_.empty());
}

TEST_F(InstanceListTest, AnyOneCanBeRemovedAndAddedAgainAtTheEnd) {
  for (std::size_t index = 0; index < instances_.size(); ++index) {
    InstanceList& list = list_;
    fill();
    list.remove(instances_[index]);
    EXPECT_FALSE(list.contains(instances_[index]));
    EXPECT_FALSE(instances_[index].is_added());
    list.append(instances_[index]);
    EXPECT_TRUE(instances_[index].is_added());
    EXPECT_EQ(order().back(), static_cast<int>(index));
    EXPECT_EQ(order().size(), 3U);
    for (TestInstance& instance : instances_) list.remove(instance);
    EXPECT_TRUE(list.empty());
  }
}

TEST_F(InstanceListTest, ContainsOnlyItsOwn) {
  InstanceList other;
  other.append(instances_[0]);
  EXPECT_FALSE(list_.contains(instances_[0]));
  EXPECT_TRUE(other.contains(instances_[0]));
}

}  // namespace
}  // namespace trapline::hotplug
