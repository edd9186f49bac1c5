// A process for tests to watch: a fork of the test, so that addresses are the same in both, and a
// page of memory shared between them for saying when to do what.
#pragma once

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

struct SharedPage {
  std::atomic<int> go{0};     // the test's word to the target
  std::atomic<int> ready{0};  // the target's word to the test
  std::atomic<int> signals{0};
  std::atomic<std::int64_t> writes{0};
  std::atomic<int> tid{0};
};

inline SharedPage* make_shared_page() {
  void* memory = ::mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) SharedPage;
}

inline void await(const std::atomic<int>& word, int value) {
  while (word.load() < value) ::usleep(200);
}

class TestTarget {
 public:
  // Runs `body` in the child, and ends it with the status it returns.
  explicit TestTarget(const std::function<int()>& body) {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::_exit(body());
    }
  }
  TestTarget(const TestTarget&) = delete;
  TestTarget& operator=(const TestTarget&) = delete;
  ~TestTarget() {
    if (status_) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  void kill(int signal) const { ::kill(pid_, signal); }
  // To its end: the status.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) < 0 && errno == EINTR) {
    }
    status_ = status;
    return status;
  }
  // Somebody else has waited for it.
  void reaped(int status) { status_ = status; }

 private:
  pid_t pid_ = 0;
  std::optional<int> status_;
};

// Keeps what a collector delivers.
class RecordingSink final : public SampleSink {
 public:
  struct Record {
    Hit hit;
    UserRegisters registers;
    std::vector<RemoteAddress> callers;
    std::optional<RemoteAddress> stack_top;
    std::size_t stack_bytes = 0;
  };

  void on_sample(const Sample& sample) override {
    hits.push_back({.hit = sample.hit,
                    .registers = sample.registers,
                    .callers = {sample.hit.callers.begin(), sample.hit.callers.end()},
                    .stack_top = sample.stack_top,
                    .stack_bytes = sample.stack_bytes.size()});
    ++by_thread[sample.hit.tid.value];
  }
  void on_event(const TargetEvent& event) override { events.push_back(event); }
  void on_lost(std::uint64_t count) override { lost += count; }

  [[nodiscard]] const TargetEvent* find(TargetEvent::Kind kind) const {
    for (const TargetEvent& event : events) {
      if (event.kind == kind) return &event;
    }
    return nullptr;
  }

  std::vector<Record> hits;
  std::map<std::int32_t, std::size_t> by_thread;
  std::vector<TargetEvent> events;
  std::uint64_t lost = 0;
};

// A guest may take 30 ms for a hit.
inline constexpr std::chrono::seconds kLongestWait{60};

// Drains as a caller does until `done`, or until the time is up (false).
inline bool pump(Collector& collector, SampleSink& sink, const std::function<bool()>& done,
                 std::chrono::milliseconds limit = kLongestWait) {
  constexpr int kNanosecondsPerMillisecond = 1'000'000;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto drained = collector.drain(sink);
    if (!drained) return false;
    if (done()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    if (drained->more_pending) continue;
    std::vector<pollfd> entries;
    for (const int descriptor : collector.descriptors())
      entries.push_back({.fd = descriptor, .events = POLLIN, .revents = 0});
    const std::uint64_t interval =
        collector.drain_interval().value_or(Nanoseconds{100'000'000}).value;
    ::poll(entries.data(), entries.size(), static_cast<int>(interval / kNanosecondsPerMillisecond));
  }
}

// Until nobody is left who could hit.
inline bool pump_to_end(Collector& collector, SampleSink& sink) {
  bool gone = false;
  const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
  while (!gone && std::chrono::steady_clock::now() < deadline) {
    if (!pump(collector, sink, [] { return true; })) return false;
    const auto drained = collector.drain(sink);
    if (!drained) return false;
    gone = drained->target_gone;
    if (!gone && !drained->more_pending) ::usleep(1000);
  }
  return gone;
}

}  // namespace trapline::linux_port
