#include "ports/linux/cpu_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace trapline::linux_port {

void PrintTo(const CpuChange& change, std::ostream* out) {
  *out << "cpu " << change.cpu.value
       << (change.kind == CpuChange::Kind::came_online ? " online" : " offline") << " at "
       << change.time.value;
  if (change.earliest) *out << " not before " << change.earliest->value;
  if (change.inferred) *out << " inferred";
}

namespace {

using Kind = CpuChange::Kind;
using Completeness = UeventSocket::Completeness;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr CpuId kCpu{1};
constexpr Nanoseconds kStart{1000};
constexpr Nanoseconds kNow{2000};
constexpr CpuGeneration kFirst{10};
constexpr CpuGeneration kSecond{20};
constexpr CpuGeneration kThird{30};
constexpr std::optional<CpuGeneration> kNone = std::nullopt;

CpuChange went_offline(Nanoseconds time = kNow) {
  return {kCpu, Kind::went_offline, time, std::nullopt, false};
}
CpuChange came_online(std::optional<Nanoseconds> earliest, Nanoseconds time = kNow) {
  return {kCpu, Kind::came_online, time, earliest, false};
}
CpuChange inferred(CpuChange change) {
  change.inferred = true;
  return change;
}

// CPU 0 is always there, kCpu if it has a generation.
CpuSnapshot seen(std::optional<CpuGeneration> generation, std::uint64_t sequence = 0,
                 Nanoseconds time = kStart) {
  CpuSnapshot found{.time = time, .sequence = sequence, .online = {}, .generations = {}};
  found.online.insert(CpuId{0});
  found.generations[CpuId{0}] = CpuGeneration{1};
  if (generation) {
    found.online.insert(kCpu);
    found.generations[kCpu] = *generation;
  }
  return found;
}

CpuSnapshot seen_without_generations(bool online, std::uint64_t sequence = 0) {
  CpuSnapshot found = seen(online ? std::optional(kFirst) : kNone, sequence);
  found.generations.clear();
  return found;
}

class Tracked {
 public:
  explicit Tracked(const CpuSnapshot& start) : tracker(start) {}

  void offline_event(std::uint64_t sequence, std::optional<CpuGeneration> current = kNone) {
    tracker.on_uevent({kCpu, false, sequence}, current, kNow, changes);
  }
  void online_event(std::uint64_t sequence, std::optional<CpuGeneration> current = kNone) {
    tracker.on_uevent({kCpu, true, sequence}, current, kNow, changes);
  }
  void look(const CpuSnapshot& found) { tracker.reconcile(found, kNow, changes); }

  CpuChangeTracker tracker;
  std::vector<CpuChange> changes;
};

CpuChange last_of(const Tracked& cpus) {
  return cpus.changes.empty() ? CpuChange{} : cpus.changes.back();
}

TEST(CpuChangeTracker, TellsWhatEventsTell) {
  Tracked cpus(seen(kFirst));
  cpus.offline_event(1);
  EXPECT_FALSE(cpus.tracker.online().contains(kCpu));
  cpus.online_event(2, kSecond);
  EXPECT_TRUE(cpus.tracker.online().contains(kCpu));
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(kStart)));
}

TEST(CpuChangeTracker, AFlapWhoseEventsArriveTogetherIsBothChanges) {
  Tracked cpus(seen(kFirst));
  cpus.offline_event(1, kSecond);
  cpus.online_event(2, kSecond);
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(kStart)));
}

TEST(CpuChangeTracker, TwoFlapsThatArriveTogetherAreTwo) {
  Tracked cpus(seen(kFirst));
  for (std::uint64_t sequence = 1; sequence < 5; sequence += 2) {
    cpus.offline_event(sequence, kThird);
    cpus.online_event(sequence + 1, kThird);
  }
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(kStart), went_offline(),
                                        came_online(kStart)));
}

TEST(CpuChangeTracker, ALookFindsACpuGone) {
  Tracked cpus(seen(kFirst));
  cpus.look(seen(kNone));
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline())));
  cpus.offline_event(1);
  EXPECT_EQ(cpus.changes.size(), 1U) << "the event tells the same";
}

TEST(CpuChangeTracker, ALookFindsACpuThatCame) {
  Tracked cpus(seen(kNone));
  cpus.look(seen(kFirst));
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(came_online(kStart))));
  cpus.online_event(1, kFirst);
  EXPECT_EQ(cpus.changes.size(), 1U) << "the event tells the same";
}

TEST(CpuChangeTracker, AnotherGenerationIsAFlapThoughNoEventCame) {
  Tracked cpus(seen(kFirst));
  cpus.look(seen(kSecond));
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), inferred(came_online(kStart))));
  cpus.look(seen(kSecond));
  EXPECT_EQ(cpus.changes.size(), 2U);
}

TEST(CpuChangeTracker, AFlapFoundByALookIsNotCountedAgainByItsEvent) {
  Tracked cpus(seen(kFirst));
  cpus.look(seen(kSecond));
  ASSERT_EQ(cpus.changes.size(), 2U);
  cpus.online_event(2, kSecond);
  EXPECT_EQ(cpus.changes.size(), 2U);
  cpus.changes.clear();
  cpus.offline_event(3);
  cpus.online_event(4, kThird);
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(kStart)));
}

TEST(CpuChangeTracker, OfAFlapWhoseEventsWereLostNoneIsAwaited) {
  Tracked cpus(seen(kFirst));
  cpus.look(seen(kSecond));
  cpus.changes.clear();
  cpus.offline_event(3);
  cpus.online_event(4, kThird);
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(kStart)));
}

TEST(CpuChangeTracker, TheEventOfALifeThatALookFoundMayBeReadAfterThatLife) {
  Tracked cpus(seen(kNone));
  cpus.look(seen(kFirst));
  cpus.online_event(1);
  cpus.offline_event(2);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(came_online(kStart)), went_offline()));
}

TEST(CpuChangeTracker, TheEventOfTheFirstLookMayComeAfterIt) {
  Tracked cpus(seen(kFirst));
  cpus.online_event(1);
  cpus.offline_event(2);
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline()));
}

TEST(CpuChangeTracker, AnEventOlderThanALookIsContainedInIt) {
  Tracked cpus(seen(kFirst, 5));
  cpus.offline_event(4, kFirst);
  cpus.online_event(5, kFirst);
  EXPECT_THAT(cpus.changes, IsEmpty());
  cpus.look(seen(kFirst, 8));
  cpus.offline_event(8, kFirst);
  EXPECT_THAT(cpus.changes, IsEmpty());
  cpus.offline_event(9);
  EXPECT_EQ(cpus.changes.size(), 1U);
}

TEST(CpuChangeTracker, AnOnlineEventOfACpuBelievedOnlineIsAFlapIfTheGenerationSaysSo) {
  Tracked cpus(seen(kNone));
  cpus.online_event(1, kFirst);
  cpus.online_event(2, kFirst);
  EXPECT_EQ(cpus.changes.size(), 1U) << "still the same life";
  cpus.changes.clear();
  cpus.online_event(3, kSecond);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), came_online(kStart)));
}

TEST(CpuChangeTracker, ACpuOnlineWithoutAGenerationIsOnItsWayDown) {
  Tracked cpus(seen(kFirst));
  CpuSnapshot found = seen(kFirst);
  found.generations.erase(kCpu);
  cpus.look(found);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline())));
}

TEST(CpuChangeTracker, ACpuThatTheKernelKeptAfterAllIsTold) {
  Tracked cpus(seen(kFirst));
  cpus.look(seen(kNone));
  cpus.look(seen(kFirst));
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), inferred(came_online(kStart))));
}

TEST(CpuChangeTracker, AHotAddedCpuComesOnline) {
  constexpr CpuId kAdded{200};
  Tracked cpus(seen(kFirst));
  cpus.tracker.on_uevent({kAdded, true, 1}, kSecond, kNow, cpus.changes);
  EXPECT_THAT(cpus.changes, ElementsAre(CpuChange{kAdded, Kind::came_online, kNow, kStart, false}));
  EXPECT_TRUE(cpus.tracker.online().contains(kAdded));
  EXPECT_FALSE(cpus.tracker.online().contains(CpuId{199}));

  CpuSnapshot found = seen(kFirst);
  found.online.insert(kAdded);
  found.generations[kAdded] = kSecond;
  found.online.insert(CpuId{300});
  found.generations[CpuId{300}] = kThird;
  cpus.look(found);
  ASSERT_EQ(cpus.changes.size(), 2U);
  EXPECT_EQ(cpus.changes[1].cpu, CpuId{300});
}

TEST(CpuChangeTrackerWithoutGenerations, EventsDecide) {
  Tracked cpus(seen_without_generations(true));
  cpus.offline_event(1);
  cpus.online_event(2);
  EXPECT_THAT(cpus.changes, ElementsAre(went_offline(), came_online(std::nullopt)));
}

TEST(CpuChangeTrackerWithoutGenerations, AnOnlineEventOfACpuBelievedOnlineIsAFlap) {
  Tracked cpus(seen_without_generations(true));
  cpus.online_event(1);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), came_online(std::nullopt)));
}

TEST(CpuChangeTrackerWithoutGenerations, ALookThatAgreesDoesNotHideAFlap) {
  Tracked cpus(seen_without_generations(true));
  cpus.look(seen_without_generations(true));
  cpus.online_event(1);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), came_online(std::nullopt)));
}

TEST(CpuChangeTrackerWithoutGenerations, WhatALookToldIsNotToldAgain) {
  Tracked cpus(seen_without_generations(true));
  cpus.look(seen_without_generations(false));
  cpus.offline_event(1);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline())));
  cpus.changes.clear();
  cpus.look(seen_without_generations(true));
  cpus.online_event(2);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(came_online(kStart))));
  cpus.changes.clear();
  cpus.online_event(3);
  EXPECT_THAT(cpus.changes, ElementsAre(inferred(went_offline()), came_online(kStart)))
      << "only one event was due";
}

TEST(CpuChangeEarliest, IsTheLastLookThatSawItOfflineOrInAnEarlierLife) {
  Tracked cpus(seen(kFirst, 0, Nanoseconds{100}));
  cpus.look(seen(kFirst, 0, Nanoseconds{200}));
  cpus.look(seen(kSecond, 0, Nanoseconds{300}));
  EXPECT_EQ(last_of(cpus).earliest, Nanoseconds{200});
  cpus.offline_event(1);
  cpus.look(seen(kNone, 0, Nanoseconds{400}));
  cpus.online_event(2, kThird);
  EXPECT_EQ(last_of(cpus).earliest, Nanoseconds{400});
}

TEST(CpuChangeEarliest, IsTheMomentWhenNoOfflineEventWasWaiting) {
  Tracked cpus(seen(kFirst, 0, Nanoseconds{100}));
  cpus.tracker.events_are_read(Nanoseconds{700});
  cpus.offline_event(1, kSecond);
  cpus.online_event(2, kSecond);
  EXPECT_EQ(last_of(cpus).earliest, Nanoseconds{700});
}

// A kernel that takes CPUs down and up, a step at a time, between any two things that are asked of
// it.
class FakeKernel {
 public:
  struct Truth {
    std::vector<Nanoseconds> downs;  // when it was no longer online
    std::vector<Nanoseconds> ups;
  };
  struct Options {
    bool generations = true;
    bool sends_events = true;
    bool all_up_at_first = false;
    std::size_t queue_limit = 1'000'000;  // events; more are lost
    double restlessness = 0.5;            // steps per question
  };

  FakeKernel(std::uint64_t seed, Options options) : random_(seed), options_(options) {
    for (Cpu& cpu : cpus_) {
      cpu.online = options.all_up_at_first || random_() % 2 == 0;
      cpu.phase = cpu.online ? Phase::up : Phase::down;
      if (cpu.online) cpu.generation = next_generation_++;
    }
  }

  void live(double steps) {
    std::poisson_distribution<int> count(steps);
    for (int left = count(random_); left > 0; --left) {
      const auto choice = static_cast<std::size_t>(random_() % (kCpus + 1));
      if (choice < kCpus) {
        step(cpus_[choice]);
      } else {
        send(std::nullopt);
      }
    }
  }
  void come_to_rest() {
    for (Cpu& cpu : cpus_) {
      while (cpu.phase != Phase::up && cpu.phase != Phase::down) step(cpu);
    }
    restless_ = false;
  }
  void step_first() { step(cpus_[0]); }
  void let_time_pass() {
    if (--questions_until_rest_ == 0) come_to_rest();
    // Now and then the asking thread is preempted for longer.
    constexpr int kPreemption = 40;
    constexpr double kLong = 6;
    if (restless_) live(random_() % kPreemption == 0 ? kLong : options_.restlessness);
    ++clock_;
  }
  void rest(bool resting) { restless_ = !resting; }
  // Comes to rest in the middle of answering, before this question.
  void come_to_rest_after(int questions) { questions_until_rest_ = questions; }
  // It stays as it is, and there is no event to wake up for.
  [[nodiscard]] bool has_no_more_to_say() const {
    return !restless_ && queue_.empty() && !overrun_;
  }

  static constexpr std::size_t kCpus = 2;
  [[nodiscard]] const Truth& truth(std::size_t cpu) const { return cpus_[cpu].truth; }
  [[nodiscard]] bool is_online(std::size_t cpu) const { return cpus_[cpu].online; }
  // None where a resource of this CPU could not be made.
  [[nodiscard]] std::optional<std::uint64_t> life(std::size_t cpu) const {
    if (!cpus_[cpu].online) return std::nullopt;
    return cpus_[cpu].generation;
  }
  [[nodiscard]] Nanoseconds clock() const { return Nanoseconds{clock_}; }

 private:
  friend class FakeEvidence;

  enum class Phase : std::uint8_t { up, cleared, removed, down, made, set };
  struct Cpu {
    Phase phase{};
    bool online = false;
    std::optional<std::uint64_t> generation;
    Truth truth;
  };

  void step(Cpu& cpu) {
    ++clock_;
    switch (cpu.phase) {
      case Phase::up:
        cpu.online = false;
        cpu.truth.downs.push_back(clock());
        cpu.phase = Phase::cleared;
        break;
      case Phase::cleared:
        cpu.generation = std::nullopt;
        cpu.phase = Phase::removed;
        break;
      case Phase::removed:
        send(cpu, false);
        cpu.phase = Phase::down;
        break;
      case Phase::down:
        cpu.generation = next_generation_++;
        cpu.phase = Phase::made;
        break;
      case Phase::made:
        cpu.online = true;
        cpu.truth.ups.push_back(clock());
        cpu.phase = Phase::set;
        break;
      case Phase::set:
        send(cpu, true);
        cpu.phase = Phase::up;
        break;
    }
  }

  void send(const Cpu& cpu, bool online) {
    const auto number = static_cast<std::uint32_t>(&cpu - cpus_.data());
    send(CpuUevent{CpuId{number}, online, sequence_ + 1});
  }
  void send(std::optional<CpuUevent> event) {
    ++sequence_;
    if (!options_.sends_events) return;
    if (congested_ || queue_.size() >= options_.queue_limit) {
      overrun_ = overrun_ || !congested_;
      congested_ = true;
      return;
    }
    queue_.push_back(event);
  }

  std::mt19937_64 random_;
  Options options_;
  std::array<Cpu, kCpus> cpus_;
  std::deque<std::optional<CpuUevent>> queue_;  // none: of something else
  std::uint64_t clock_ = 1;
  std::uint64_t sequence_ = 0;
  std::uint64_t next_generation_ = 1;
  bool congested_ = false;
  bool overrun_ = false;
  bool restless_ = true;
  int questions_until_rest_ = 0;
};

class FakeEvidence final : public CpuEvidence {
 public:
  explicit FakeEvidence(FakeKernel& kernel) : kernel_(kernel) {}

  Completeness read_events(std::vector<CpuUevent>& received) override {
    auto completeness = Completeness::complete;
    while (true) {
      kernel_.let_time_pass();
      if (std::exchange(kernel_.overrun_, false)) completeness = Completeness::overrun;
      if (kernel_.queue_.empty()) {
        kernel_.congested_ = false;
        return completeness;
      }
      if (const auto& event = kernel_.queue_.front()) received.push_back(*event);
      kernel_.queue_.pop_front();
      if (kernel_.queue_.empty()) kernel_.congested_ = false;
    }
  }
  std::uint64_t last_sequence() override {
    kernel_.let_time_pass();
    return kernel_.options_.sends_events ? kernel_.sequence_ : 0;
  }
  std::expected<CpuSet, Error> online() override {
    kernel_.let_time_pass();
    if (refusals > 0) {
      --refusals;
      return std::unexpected(Error{ErrorCode::limit_reached, EMFILE});
    }
    CpuSet set;
    set.insert(kBystander);
    for (std::uint32_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      if (kernel_.is_online(cpu)) set.insert(CpuId{cpu});
    }
    return set;
  }
  std::optional<CpuGeneration> generation(CpuId cpu) override {
    kernel_.let_time_pass();
    if (!kernel_.options_.generations) return std::nullopt;
    if (cpu == kBystander) return CpuGeneration{1'000'000};
    const auto generation = kernel_.cpus_.at(cpu.value).generation;
    if (!generation) return std::nullopt;
    return CpuGeneration{*generation};
  }
  Nanoseconds now() override {
    kernel_.let_time_pass();
    return kernel_.clock();
  }
  [[nodiscard]] std::optional<int> descriptor() const override { return std::nullopt; }

  int refusals = 0;

 private:
  // The CPU that is never switched.
  static constexpr CpuId kBystander{FakeKernel::kCpus};
  FakeKernel& kernel_;
};

// Does what a user of the source does: has one resource for each CPU, which dies with the life that
// it was made in.
class User {
 public:
  explicit User(FakeKernel& kernel) : kernel_(kernel) {
    auto evidence = std::make_unique<FakeEvidence>(kernel);
    evidence_ = evidence.get();
    auto source = CpuChangeSource::open_on(std::move(evidence));
    EXPECT_TRUE(source.has_value());
    source_.emplace(*std::move(source));
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      online_[cpu] = source_->online().contains(cpu_id(cpu));
      if (online_[cpu]) made_in_[cpu] = kernel_.life(cpu);
    }
  }

  void collect(bool reconcile_now) {
    std::vector<CpuChange> changes;
    EXPECT_TRUE(source_->collect(changes, reconcile_now).has_value());
    for (const CpuChange& change : changes) {
      const std::size_t cpu = change.cpu.value;
      ASSERT_LT(cpu, FakeKernel::kCpus);
      const bool came = change.kind == Kind::came_online;
      EXPECT_NE(online_[cpu], came) << "changes of a CPU alternate";
      online_[cpu] = came;
      made_in_[cpu] = came ? kernel_.life(cpu) : std::nullopt;
      EXPECT_GE(change.time, last_time_[cpu]);
      EXPECT_LE(change.time, kernel_.clock());
      last_time_[cpu] = change.time;
      (came ? came_[cpu] : went_[cpu]).push_back(change);
    }
  }

  [[nodiscard]] const std::vector<CpuChange>& came(std::size_t cpu) const { return came_[cpu]; }
  [[nodiscard]] const std::vector<CpuChange>& went(std::size_t cpu) const { return went_[cpu]; }

  // After the kernel has come to rest and everything is collected.
  void expect_truth_at_the_end() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      SCOPED_TRACE("cpu " + std::to_string(cpu));
      EXPECT_EQ(online_[cpu], kernel_.is_online(cpu));
      EXPECT_EQ(source_->online().contains(cpu_id(cpu)), kernel_.is_online(cpu));
    }
  }
  void expect_no_dead_resource() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      // One that could not be made is known to its maker.
      if (!made_in_[cpu]) continue;
      EXPECT_EQ(made_in_[cpu], kernel_.life(cpu)) << "cpu " << cpu;
    }
  }
  void expect_each_change_once() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      EXPECT_EQ(went_[cpu].size(), kernel_.truth(cpu).downs.size()) << "cpu " << cpu;
      EXPECT_EQ(came_[cpu].size(), kernel_.truth(cpu).ups.size()) << "cpu " << cpu;
    }
  }
  // Between the two moments told, it came online, if not for the first time.
  void expect_possible_bounds() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      for (const CpuChange& change : came_[cpu]) {
        const Nanoseconds earliest = change.earliest.value_or(Nanoseconds{});
        EXPECT_TRUE(std::ranges::any_of(
            kernel_.truth(cpu).ups,
            [&](Nanoseconds up) { return earliest <= up && up <= change.time; }))
            << "cpu " << cpu << ", " << testing::PrintToString(change);
      }
    }
  }
  // If each change was told once.
  void expect_true_bounds() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      const FakeKernel::Truth& truth = kernel_.truth(cpu);
      for (std::size_t i = 0; i < std::min(truth.downs.size(), went_[cpu].size()); ++i)
        EXPECT_GE(went_[cpu][i].time, truth.downs[i]);
      for (std::size_t i = 0; i < std::min(truth.ups.size(), came_[cpu].size()); ++i) {
        EXPECT_GE(came_[cpu][i].time, truth.ups[i]);
        ASSERT_TRUE(came_[cpu][i].earliest.has_value());
        EXPECT_LE(*came_[cpu][i].earliest, truth.ups[i]);
      }
    }
  }
  void expect_no_change_too_many() {
    for (std::size_t cpu = 0; cpu < FakeKernel::kCpus; ++cpu) {
      SCOPED_TRACE("cpu " + std::to_string(cpu));
      EXPECT_LE(went_[cpu].size(), kernel_.truth(cpu).downs.size());
      EXPECT_LE(came_[cpu].size(), kernel_.truth(cpu).ups.size());
    }
  }
  void refuse_next_look() { evidence_->refusals = 1; }
  [[nodiscard]] CpuChangeSource& source() { return *source_; }

 private:
  static CpuId cpu_id(std::size_t cpu) { return CpuId{static_cast<std::uint32_t>(cpu)}; }
  template <typename T>
  using PerCpu = std::array<T, FakeKernel::kCpus>;

  FakeKernel& kernel_;
  FakeEvidence* evidence_ = nullptr;
  std::optional<CpuChangeSource> source_;
  PerCpu<bool> online_{};
  PerCpu<std::optional<std::uint64_t>> made_in_;
  PerCpu<Nanoseconds> last_time_{};
  PerCpu<std::vector<CpuChange>> came_;
  PerCpu<std::vector<CpuChange>> went_;
};

constexpr std::uint64_t kHistories = 5000;
constexpr std::uint64_t kMostCollects = 12;

enum class Opening : std::uint8_t { at_rest, amid_changes };

// Runs `check` on many random histories, each until the kernel has come to rest and all that it
// said is collected.
template <typename Check>
void for_many_histories(FakeKernel::Options options, Opening opening, Check check) {
  for (std::uint64_t seed = 0; seed < kHistories && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    options.restlessness = 0.02 * static_cast<double>(random() % 6);
    FakeKernel kernel(seed, options);
    kernel.rest(opening == Opening::at_rest);
    User user(kernel);
    kernel.rest(false);
    const bool reconciling = random() % 2 == 0 || !options.sends_events;
    for (std::uint64_t left = random() % kMostCollects; left > 0; --left) {
      kernel.live(static_cast<double>(random() % 15));
      user.collect(reconciling && random() % 3 == 0);
    }
    kernel.come_to_rest_after(1 + static_cast<int>(random() % 16));
    user.collect(!options.sends_events);
    if (options.sends_events && kernel.has_no_more_to_say()) user.expect_truth_at_the_end();
    kernel.come_to_rest();
    user.collect(!options.sends_events);
    user.expect_truth_at_the_end();
    user.collect(true);
    user.expect_truth_at_the_end();
    user.expect_possible_bounds();
    check(user);
  }
}

TEST(CpuChangeHistories, EveryChangeIsToldOnceWhenNoEventIsLost) {
  for_many_histories({}, Opening::at_rest, [](User& user) {
    user.expect_no_dead_resource();
    user.expect_each_change_once();
    user.expect_true_bounds();
  });
}

TEST(CpuChangeHistories, OpeningWhileCpusChangeMissesNothing) {
  for_many_histories({}, Opening::amid_changes, [](User& user) {
    user.expect_no_dead_resource();
    user.expect_no_change_too_many();
  });
}

TEST(CpuChangeHistories, LostEventsAreMadeUpForByLooks) {
  for (const std::size_t limit : {1U, 2U, 3U}) {
    for_many_histories({.queue_limit = limit}, Opening::amid_changes, [](User& user) {
      user.expect_no_dead_resource();
      user.expect_no_change_too_many();
    });
  }
}

TEST(CpuChangeHistories, LooksAloneFindEveryLife) {
  for_many_histories({.sends_events = false}, Opening::at_rest, [](User& user) {
    user.expect_no_dead_resource();
    user.expect_no_change_too_many();
  });
}

TEST(CpuChangeHistories, EventsAloneTellEveryChangeWhereThereAreNoGenerations) {
  for_many_histories({.generations = false}, Opening::at_rest,
                     [](User& user) { user.expect_each_change_once(); });
}

// Takes CPU 0 through `steps` of its six: three until it is down and said so, three until it is up.
void step_first_cpu(FakeKernel& kernel, int steps) {
  for (; steps > 0; --steps) kernel.step_first();
}

TEST(CpuChangeSource, AnEmptyReadBoundsTheNextLife) {
  FakeKernel kernel(0, {.all_up_at_first = true, .restlessness = 0});
  kernel.rest(true);
  User user(kernel);
  const Nanoseconds before = kernel.clock();
  user.collect(false);
  step_first_cpu(kernel, 6);
  user.collect(false);
  ASSERT_EQ(user.came(0).size(), 1U);
  EXPECT_GT(user.came(0)[0].earliest, before);
}

TEST(CpuChangeSource, ALookAfterItWentBoundsTheNextLife) {
  FakeKernel kernel(0, {.all_up_at_first = true, .restlessness = 0});
  kernel.rest(true);
  User user(kernel);
  step_first_cpu(kernel, 3);
  const Nanoseconds down = kernel.clock();
  user.collect(false);
  step_first_cpu(kernel, 3);
  user.collect(false);
  ASSERT_EQ(user.came(0).size(), 1U);
  EXPECT_GT(user.came(0)[0].earliest, down);
  EXPECT_FALSE(user.went(0)[0].inferred);
  EXPECT_FALSE(user.came(0)[0].inferred);
}

TEST(CpuChangeSource, ALookThatFailedIsMadeUpFor) {
  FakeKernel kernel(1, {.sends_events = false, .restlessness = 0});
  kernel.rest(true);
  User user(kernel);
  kernel.live(40);
  kernel.come_to_rest();
  user.refuse_next_look();
  std::vector<CpuChange> changes;
  EXPECT_EQ(user.source().collect(changes, true).error().code, ErrorCode::limit_reached);
  EXPECT_THAT(changes, IsEmpty());
  user.collect(false);
  user.expect_truth_at_the_end();
  EXPECT_FALSE(user.went(0).empty() && user.went(1).empty());
}

TEST(CpuChangeSource, WorksWhereThereIsNoSocket) {
  auto source = CpuChangeSource::open(CpuFiles(), CpuChangeSource::Events::ignore);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->descriptor(), std::nullopt);
  EXPECT_TRUE(source->online().contains(CpuId{0}) || source->online().count() > 0);
  std::vector<CpuChange> changes;
  EXPECT_TRUE(source->collect(changes).has_value());
}

TEST(CpuChangeSource, NamesAMissingFolder) {
  const auto source = CpuChangeSource::open(CpuFiles("/nowhere"), CpuChangeSource::Events::ignore);
  EXPECT_EQ(source.error(), (Error{ErrorCode::not_supported, ENOENT}));
}

}  // namespace
}  // namespace trapline::linux_port
