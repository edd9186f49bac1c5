// For tests of the collectors on perf events: processes to watch, and a sink that remembers.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_collector.h"
#include "ports/linux/perf_event.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port::testing {

// What a target and its test both see.
struct SharedPage {
  std::atomic<std::uint32_t> stage;   // the test's word to the target: go on
  std::atomic<std::uint32_t> ready;   // the target's word to the test
  std::atomic<std::uint64_t> writes;  // made by the target
  std::atomic<std::int32_t> number;   // whatever the two agree on
  std::atomic<bool> quit;
};

// Blocks until `word` is at least `value`, or for 20 s (then false).
bool wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t value);

// A child process that runs `body` and exits with 0. Killed and reaped at the end.
class TargetProcess {
 public:
  explicit TargetProcess(const std::function<void(SharedPage&)>& body);
  TargetProcess(const TargetProcess&) = delete;
  TargetProcess& operator=(const TargetProcess&) = delete;
  ~TargetProcess();

  [[nodiscard]] SharedPage& shared() { return *shared_; }
  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  // Waits for it to end by itself; the status as waitpid gives it.
  int join();

 private:
  SharedPage* shared_;
  pid_t pid_;
  bool joined_ = false;
};

struct RecordedHit {
  Sample sample;  // its spans are empty
  std::vector<RemoteAddress> callers;
  std::vector<RemoteAddress> kernel_stack;
  std::vector<std::byte> stack_bytes;
};

class RecordingSink final : public SampleSink {
 public:
  void on_sample(const Sample& sample) override;
  void on_event(const TargetEvent& event) override { events.push_back(event); }
  void on_lost(std::uint64_t count) override { lost += count; }
  void on_rejected(std::uint64_t count) override { rejected += count; }
  void on_gap() override { gaps.push_back(hits.size()); }
  void on_lost_uncounted() override { lost_is_lower_bound = true; }

  [[nodiscard]] std::size_t count(TargetEvent::Kind kind) const;

  std::vector<RecordedHit> hits;
  std::vector<TargetEvent> events;
  std::vector<std::size_t> gaps;  // for each, how many hits came before it
  std::uint64_t lost = 0;
  std::uint64_t rejected = 0;
  bool lost_is_lower_bound = false;
};

// Waits and drains, as the command does, until `done` holds or the target is gone; false after
// 20 s.
[[nodiscard]] bool pump(Collector& collector, SampleSink& sink, const std::function<bool()>& done,
                        bool* target_gone = nullptr);

// The collectors whose hits are those of perf events: the parameter of tests that run on each.
struct EventCollectorKind {
  std::string_view name;
  std::unique_ptr<Collector> (*make)();
};
inline constexpr std::array kEventCollectors{EventCollectorKind{"bpf", make_bpf_collector},
                                             EventCollectorKind{"perf", make_perf_collector}};
[[nodiscard]] inline std::string name_of_kind(
    const ::testing::TestParamInfo<EventCollectorKind>& info) {
  return std::string(info.param.name);
}

[[nodiscard]] Plan plan_for(const volatile void* address, std::uint64_t length,
                            Access access = Access::write);

// How many more breakpoint events the thread has room for, found by trying.
[[nodiscard]] std::size_t free_slots_of(ThreadId tid);
// Whether the thread soon has room for `slots` events. Not at once: whoever looks for the holders
// of registers, as the doctor does in a test beside this one, has copies of our descriptors
// meanwhile.
[[nodiscard]] bool slots_get_free(ThreadId tid, std::size_t slots);
// Events on the thread that watch nothing of interest: to take its slots.
[[nodiscard]] std::vector<PerfEvent> occupy_slots(ThreadId tid, std::size_t count);

}  // namespace trapline::linux_port::testing
