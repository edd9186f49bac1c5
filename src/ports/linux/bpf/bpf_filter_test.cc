// The programs' own evaluation, compiled for this machine, against the one that it has to agree
// with.
#include "ports/linux/bpf/bpf_filter.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace trapline::linux_port {
namespace {

constexpr std::array kShapes{
    ValueShape{ByteCount{1}, true},         ValueShape{ByteCount{1}, false},
    ValueShape{ByteCount{2}, true},         ValueShape{ByteCount{3}, false},
    ValueShape{ByteCount{4}, true},         ValueShape{ByteCount{4}, false},
    ValueShape{ByteCount{8}, true},         ValueShape{ByteCount{8}, false},
    ValueShape{ByteCount{4}, false, true},  ValueShape{ByteCount{8}, false, true},
    ValueShape{ByteCount{16}, false, true}, ValueShape{ByteCount{32}, false}};

std::vector<TypedCondition> typed(std::initializer_list<const char*> texts,
                                  ValueShape shape = {ByteCount{4}, true}) {
  std::vector<TypedCondition> result;
  for (const char* text : texts) result.push_back(*type_condition(*parse_condition(text), shape));
  return result;
}

// What the programs know of a hit.
trapline_facts facts_of(const Hit& hit) {
  trapline_facts facts{};
  facts.old_value = hit.old_value.bits;
  facts.new_value = hit.new_value.bits;
  facts.old_known = hit.old_value.certainty != Certainty::unknown;
  facts.new_known = hit.new_value.certainty != Certainty::unknown;
  facts.tid = static_cast<std::uint32_t>(hit.tid.value);
  facts.pid = static_cast<std::uint32_t>(hit.pid.value);
  facts.cpu = hit.cpu.value;
  std::memcpy(facts.name, hit.comm.data(), hit.comm.size());
  return facts;
}

bool rejects(const std::vector<TypedCondition>& conditions, const Hit& hit) {
  const trapline_filter filter = bpf_filter_for(conditions);
  const trapline_facts facts = facts_of(hit);
  return trapline_rejects(&filter, &facts) != 0;
}

// Random conditions as texts, and hits, from few enough numbers that they often meet.
class Dice {
 public:
  std::uint64_t number() {
    static constexpr std::array<std::uint64_t, 22> kSpecial{0,
                                                            1,
                                                            2,
                                                            3,
                                                            0x7f,
                                                            0x80,
                                                            0xff,
                                                            0x7fff'ffff,
                                                            0x8000'0000,
                                                            0xffff'ffff,
                                                            0x3f80'0000,
                                                            0xbf80'0000,
                                                            0x7f80'0000,
                                                            0x7f80'0001,
                                                            0xff80'0000,
                                                            0xffc0'0000,
                                                            0x3ff0'0000'0000'0000,
                                                            0xbff0'0000'0000'0000,
                                                            0x7ff0'0000'0000'0000,
                                                            0xfff8'0000'0000'0000,
                                                            0x8000'0000'0000'0000,
                                                            ~std::uint64_t{0}};
    if (below(4) == 0) return random_() >> below(64);
    return kSpecial[below(kSpecial.size())] + (below(4) == 0 ? 1 : 0);
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  std::string condition() {
    static constexpr std::array kSigns{" == ", " != ", " < ", " <= ", " > ", " >= "};
    switch (below(8)) {
      case 0:
        return "changed";
      case 1:
        return std::string("comm ") + (below(2) == 0 ? "== " : "!= ") + name();
      case 2:
        return masked();
      default:
        break;
    }
    const std::string left = side();
    return left + kSigns[below(kSigns.size())] + side();
  }

  Hit hit(ValueShape shape) {
    Hit hit;
    // Identities that a small number may meet.
    hit.tid = ThreadId{static_cast<std::int32_t>(below(4))};
    hit.pid = ProcessId{static_cast<std::int32_t>(number() & 0x7fff'ffff)};
    hit.cpu = CpuId{static_cast<std::uint32_t>(below(4))};
    hit.old_value = value(shape);
    hit.new_value = below(4) == 0 ? hit.old_value : value(shape);
    if (below(8) != 0) {
      const std::string text = name();
      text.copy(hit.comm.data(), hit.comm.size() - 1);
    }
    return hit;
  }

 private:
  std::string name() {
    static constexpr std::array kNames{
        "a", "app", "app-worker", "app-worker-12345", "app-worker-1234", "b\xff"};
    return std::string(std::string_view(kNames[below(kNames.size())]).substr(0, 15));
  }
  std::string field() {
    static constexpr std::array kFields{"old", "new", "new", "tid", "pid", "cpu"};
    return kFields[below(kFields.size())];
  }
  std::string masked() { return field() + " & " + std::to_string(number()); }
  std::string side() {
    switch (below(6)) {
      case 0:
        return masked();
      case 1:
      case 2:
        return field();
      case 3:
        return (below(2) == 0 ? "-" : "") + std::to_string(number() & 0x7fff'ffff'ffff'ffff);
      case 4:
        return below(2) == 0 ? "1.0" : "-1e0";
      default:
        return std::to_string(number());
    }
  }
  MemoryValue value(ValueShape shape) {
    if (below(8) == 0) return {};
    const std::uint64_t bits = number();
    const std::uint64_t length = shape.length.value;
    // As much as the programs read.
    const std::uint64_t mask = length < 8 ? (std::uint64_t{1} << (length * 8)) - 1 : ~0ULL;
    return {bits & mask, below(4) == 0 ? Certainty::approximate : Certainty::exact};
  }

  std::mt19937_64 random_{7};
};

TEST(BpfFilter, RejectsExactlyWhatEvaluateSaysFails) {
  Dice dice;
  std::array<int, 3> seen{};  // by verdict
  for (int i = 0; i < 40'000; ++i) {
    const ValueShape shape = kShapes[dice.below(kShapes.size())];
    const std::string text = dice.condition();
    const auto condition = parse_condition(text);
    if (!condition) continue;
    const auto typed = type_condition(*condition, shape);
    if (!typed) continue;
    for (int each = 0; each < 8; ++each) {
      const Hit hit = dice.hit(shape);
      const Verdict verdict = evaluate(*typed, hit);
      ++seen[static_cast<std::size_t>(verdict)];
      ASSERT_EQ(rejects({*typed}, hit), verdict == Verdict::fails)
          << text << " of " << shape.length.value << " bytes, signed " << shape.is_signed
          << ", floating " << shape.is_floating << ", old " << hit.old_value.bits << ", new "
          << hit.new_value.bits << ", tid " << hit.tid.value << ", pid " << hit.pid.value
          << ", cpu " << hit.cpu.value << ", comm " << hit.comm.data();
    }
  }
  for (const int count : seen) EXPECT_GT(count, 5000);
}

TEST(BpfFilter, WithoutConditionsNothingIsRejected) {
  EXPECT_EQ(bpf_filter_for({}).count, 0U);
  EXPECT_FALSE(rejects({}, Hit{}));
}

TEST(BpfFilter, OneThatFailsIsEnoughAlsoBesideOneThatIsUndecided) {
  Hit hit;
  hit.tid = ThreadId{3};
  EXPECT_TRUE(rejects(typed({"new == 1", "tid == 4"}), hit));
  EXPECT_FALSE(rejects(typed({"new == 1", "tid == 3"}), hit));
}

TEST(BpfFilter, ConditionsBeyondItsRoomRejectNothing) {
  std::vector<TypedCondition> conditions = typed({"tid == 3"});
  conditions.resize(TRAPLINE_MAX_CONDITIONS, conditions.front());
  const auto other = typed({"tid == 4"});
  Hit hit;
  hit.tid = ThreadId{3};
  conditions.push_back(other.front());
  EXPECT_FALSE(rejects(conditions, hit));
  conditions[TRAPLINE_MAX_CONDITIONS - 1] = other.front();
  EXPECT_TRUE(rejects(conditions, hit));
}

TEST(BpfFilter, ValuesDecideNothingWhereThreadsMeet) {
  trapline_facts facts{};
  facts.new_known = 1;
  facts.tid = 3;
  const trapline_filter of_value = bpf_filter_for(typed({"new == 1"}));
  const trapline_filter of_thread = bpf_filter_for(typed({"new == 1", "tid == 4"}));
  EXPECT_TRUE(trapline_rejects(&of_value, &facts));
  facts.is_contended = 1;
  EXPECT_FALSE(trapline_rejects(&of_value, &facts));
  EXPECT_TRUE(trapline_rejects(&of_thread, &facts));
}

TEST(BpfFilter, ThreadNameIsAskedForOnlyWhereItIsNeeded) {
  EXPECT_EQ(bpf_filter_for(typed({"changed", "cpu == 1"})).needs_name, 0U);
  EXPECT_EQ(bpf_filter_for(typed({"changed", "comm == app"})).needs_name, 1U);
  EXPECT_EQ(bpf_filter_for(typed({"comm == app", "cpu & 1"})).needs_values, 0U);
  EXPECT_EQ(bpf_filter_for(typed({"cpu & 1", "0 < old"})).needs_values, 1U);
}

}  // namespace
}  // namespace trapline::linux_port
