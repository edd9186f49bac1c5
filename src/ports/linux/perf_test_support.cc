#include "ports/linux/perf_test_support.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

#include "ports/linux/native_architecture.h"

namespace trapline::linux_port::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{20};

alignas(64) volatile std::uint64_t of_no_interest[8];

}  // namespace

bool wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  const auto deadline = Clock::now() + kPatience;
  while (word.load() < value) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

TargetProcess::TargetProcess(const std::function<void(SharedPage&)>& body) {
  void* memory = ::mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::abort();
  }
  shared_ = new (memory) SharedPage{};
  pid_ = ::fork();
  if (pid_ == 0) {
    body(*shared_);
    ::_exit(0);
  }
}

TargetProcess::~TargetProcess() {
  if (!joined_) {
    ::kill(pid_, SIGKILL);
    join();
  }
  ::munmap(shared_, sizeof *shared_);
}

int TargetProcess::join() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  joined_ = true;
  return status;
}

void RecordingSink::on_sample(const Sample& sample) {
  RecordedHit& hit = hits.emplace_back();
  hit.sample = sample;
  hit.callers.assign(sample.hit.callers.begin(), sample.hit.callers.end());
  hit.kernel_stack.assign(sample.kernel_stack.begin(), sample.kernel_stack.end());
  hit.stack_bytes.assign(sample.stack_bytes.begin(), sample.stack_bytes.end());
  hit.sample.hit.callers = {};
  hit.sample.kernel_stack = {};
  hit.sample.stack_bytes = {};
}

std::size_t RecordingSink::count(TargetEvent::Kind kind) const {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(),
                    [kind](const TargetEvent& event) { return event.kind == kind; }));
}

bool pump(Collector& collector, SampleSink& sink, const std::function<bool()>& done,
          bool* target_gone) {
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    const auto drained = collector.drain(sink);
    if (!drained) {
      std::fprintf(stderr, "drain: %s\n", drained.error().message.c_str());
      return false;
    }
    if (drained->target_gone && target_gone != nullptr) *target_gone = true;
    if (done()) return true;
    if (drained->more_pending) continue;
    if (drained->target_gone) return done();
    std::vector<pollfd> requests;
    for (const int fd : collector.descriptors())
      requests.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    const auto interval = collector.drain_interval().value_or(Nanoseconds{20'000'000});
    ::poll(requests.data(), requests.size(), static_cast<int>(interval.value / 1'000'000));
  }
  return false;
}

Plan plan_for(const volatile void* address, std::uint64_t length, Access access) {
  const auto plan = make_plan(Request{RemoteAddress::of_local(address), ByteCount{length}, access},
                              native_debug_architecture());
  if (!plan) {
    std::fprintf(stderr, "no plan\n");
    std::abort();
  }
  return *plan;
}

std::vector<PerfEvent> occupy_slots(ThreadId tid, std::size_t count) {
  PerfEventOptions options;
  options.inheritance = Inheritance::none;
  options.stack = StackMode::none;
  std::vector<PerfEvent> events;
  for (std::size_t i = 0; i < count; ++i) {
    const SlotRequest slot{RemoteAddress::of_local(&of_no_interest[i]), ByteCount{8},
                           Access::write};
    auto event = PerfEvent::open(breakpoint_attributes(slot, options), tid, std::nullopt);
    if (!event) break;
    events.push_back(*std::move(event));
  }
  return events;
}

std::size_t free_slots_of(ThreadId tid) {
  return occupy_slots(tid, 8).size();
}

bool slots_get_free(ThreadId tid, std::size_t slots) {
  const auto deadline = Clock::now() + kPatience;
  while (free_slots_of(tid) != slots) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace trapline::linux_port::testing
