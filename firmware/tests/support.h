// What the firmware's tests share: a board for each test, work on other CPUs, the console's text.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <initializer_list>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "board.h"
#include "ports/armv7_virt/debug_events.h"
#include "ports/armv7_virt/mmu.h"
#include "trace.h"
#include "trapline/base/units.h"

namespace trapline::firmware::testing {

inline constexpr CpuId kCpu0{0};
inline constexpr CpuId kCpu1{1};
inline constexpr CpuId kCpu2{2};
inline constexpr CpuId kCpu3{3};
inline constexpr std::array<CpuId, 4> kCpus{kCpu0, kCpu1, kCpu2, kCpu3};
inline constexpr std::array<CpuId, 3> kOtherCpus{kCpu1, kCpu2, kCpu3};

// A function on the thread of another CPU, which runs.
class CpuThread {
 public:
  CpuThread(CpuId cpu, std::function<void()> run);
  CpuThread(const CpuThread&) = delete;
  CpuThread& operator=(const CpuThread&) = delete;
  ~CpuThread() { join(); }
  void join();

 private:
  CpuId cpu_;
  std::function<void()> run_;
};
// The same, and waits for it; on the first CPU at once.
void run_on_cpu(CpuId cpu, const std::function<void()>& run);

void spin_for(Nanoseconds time);

// CPUs are waited for a short time only, while it lives.
class ShortPowerLimit {
 public:
  ShortPowerLimit();
  ShortPowerLimit(const ShortPowerLimit&) = delete;
  ShortPowerLimit& operator=(const ShortPowerLimit&) = delete;
  ~ShortPowerLimit();

 private:
  Nanoseconds before_;
};

// What is printed while it lives.
class PrintedText {
 public:
  PrintedText();
  PrintedText(const PrintedText&) = delete;
  PrintedText& operator=(const PrintedText&) = delete;
  ~PrintedText();
  [[nodiscard]] const std::string& text() const;
};

// While it lives, an unhandled fault is reported, and then goes on behind its instruction.
class FaultsGoOn {
 public:
  FaultsGoOn();
  FaultsGoOn(const FaultsGoOn&) = delete;
  FaultsGoOn& operator=(const FaultsGoOn&) = delete;
  ~FaultsGoOn();
  [[nodiscard]] static unsigned count();
};

// All CPUs online; at the end all but the first are off again, and nothing is left set up.
class BoardTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

 public:
  [[nodiscard]] Board& board() { return *board_; }
  [[nodiscard]] Machine& machine() { return board_->machine(); }
  [[nodiscard]] Watches& watches() { return board_->watches(); }
  [[nodiscard]] PrintingTracer& tracer() { return tracer_; }
  void up(CpuId cpu) { ASSERT_TRUE(machine().cpu_up(cpu).has_value()) << cpu.value; }
  void down(CpuId cpu) { ASSERT_TRUE(machine().cpu_down(cpu).has_value()) << cpu.value; }
  [[nodiscard]] bool is_online(CpuId cpu);

 private:
  PrintingTracer tracer_;
  std::optional<Board> board_;
};

// A watch on every CPU while it lives, or until end(); enables the facility for the rest of the
// test.
class Watched {
 public:
  Watched(BoardTest& test, const volatile void* address, std::uint64_t length,
          Access access = Access::write);
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() { end(); }
  void end();
  [[nodiscard]] const CpuWatch& get() const { return watch_; }

 private:
  Watches& watches_;
  CpuWatch watch_;
};

// Pages side by side in the window, with memory behind them, while it lives. nullopt: not mapped.
class WindowPages {
 public:
  explicit WindowPages(std::initializer_list<std::optional<armv7_virt::Permission>> permissions);
  WindowPages(const WindowPages&) = delete;
  WindowPages& operator=(const WindowPages&) = delete;
  ~WindowPages();
  // Where the page begins; the one behind the last, too.
  [[nodiscard]] static std::uintptr_t address(std::size_t page);
  // The same memory, under an address at which it can be read and written.
  [[nodiscard]] static std::uint8_t* memory(std::size_t page);
  static constexpr std::size_t kMost = 4;

 private:
  std::size_t count_;
};

// All hits there are, oldest first.
[[nodiscard]] std::vector<armv7_virt::Caught> take_hits();

}  // namespace trapline::firmware::testing
