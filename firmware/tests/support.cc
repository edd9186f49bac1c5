#include "support.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "isa/armv7/instruction_at.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/spinlock.h"

namespace trapline::firmware::testing {
namespace {

// Not on the heap: lines come from fault handlers too.
std::array<char, 16384> printed;
std::size_t printed_length = 0;
std::atomic<unsigned> faults{0};

void note_text(std::string_view text) {
  const std::size_t length = std::min(text.size(), printed.size() - printed_length);
  std::copy_n(text.data(), length, printed.data() + printed_length);
  printed_length += length;
}

bool go_on_behind(armv7_virt::ExceptionFrame& frame) {
  ++faults;
  const bool is_narrow = frame.is_thumb() && isa::armv7::instruction_at(frame.pc, true) <= 0xffff;
  frame.continue_at(frame.pc + (is_narrow ? 2U : 4U));
  return true;
}

}  // namespace

CpuThread::CpuThread(CpuId cpu, std::function<void()> run) : cpu_(cpu), run_(std::move(run)) {
  const auto started = armv7_virt::start_thread(
      cpu, [](void* self) { static_cast<CpuThread*>(self)->run_(); }, this);
  EXPECT_TRUE(started.has_value()) << "the thread of CPU " << cpu.value << " cannot be had";
}

void CpuThread::join() {
  armv7_virt::join_thread(cpu_);
}

void run_on_cpu(CpuId cpu, const std::function<void()>& run) {
  if (cpu == kCpu0) {
    run();
  } else {
    CpuThread(cpu, run).join();
  }
}

void spin_for(Nanoseconds time) {
  const std::uint64_t end = armv7_virt::timer::now().value + time.value;
  while (armv7_virt::timer::now().value < end) {
  }
}

ShortPowerLimit::ShortPowerLimit() : before_(armv7_virt::set_power_limit({300'000'000})) {}

ShortPowerLimit::~ShortPowerLimit() {
  armv7_virt::set_power_limit(before_);
}

PrintedText::PrintedText() {
  printed_length = 0;
  armv7_virt::set_print_witness(&note_text);
}

PrintedText::~PrintedText() {
  armv7_virt::set_print_witness(nullptr);
}

const std::string& PrintedText::text() const {
  static std::string text;
  text.assign(printed.data(), printed_length);
  return text;
}

FaultsGoOn::FaultsGoOn() {
  faults = 0;
  armv7_virt::set_last_resort(&go_on_behind);
}

FaultsGoOn::~FaultsGoOn() {
  armv7_virt::set_last_resort(nullptr);
}

unsigned FaultsGoOn::count() {
  return faults;
}

void BoardTest::SetUp() {
  board_.emplace(&tracer_);
  const auto up = board_->bring_up_all();
  ASSERT_TRUE(up.has_value());
  static_cast<void>(take_hits());
}

void BoardTest::TearDown() {
  if (watches().is_enabled()) {
    EXPECT_TRUE(watches().disable().has_value());
  }
  for (const CpuId cpu : kOtherCpus) {
    armv7_virt::join_thread(cpu);
    EXPECT_TRUE(machine().cpu_down(cpu).has_value());
  }
}

bool BoardTest::is_online(CpuId cpu) {
  const std::shared_lock lock(machine().online_cpus());
  return machine().online_cpus().cpus().contains(cpu);
}

Watched::Watched(BoardTest& test, const volatile void* address, std::uint64_t length, Access access)
    : watches_(test.watches()) {
  if (!watches_.is_enabled()) {
    EXPECT_TRUE(watches_.enable().has_value());
  }
  const auto added =
      watches_.add(watch_, {RemoteAddress::of_local(address), ByteCount{length}, access});
  EXPECT_TRUE(added.has_value());
}

void Watched::end() {
  if (watch_.is_added()) {
    EXPECT_TRUE(watches_.remove(watch_).has_value());
  }
}

namespace {
struct alignas(armv7_virt::kPageSize) Page {
  std::uint8_t bytes[armv7_virt::kPageSize];
};
Page window_memory[WindowPages::kMost];
}  // namespace

WindowPages::WindowPages(std::initializer_list<std::optional<armv7_virt::Permission>> permissions)
    : count_(permissions.size()) {
  std::size_t index = 0;
  for (const auto permission : permissions) {
    if (permission)
      armv7_virt::map_page(address(index), reinterpret_cast<std::uintptr_t>(memory(index)),
                           *permission);
    ++index;
  }
}

WindowPages::~WindowPages() {
  for (std::size_t index = 0; index < count_; ++index) armv7_virt::unmap_page(address(index));
}

std::uintptr_t WindowPages::address(std::size_t page) {
  return armv7_virt::kWindow + page * armv7_virt::kPageSize;
}

std::uint8_t* WindowPages::memory(std::size_t page) {
  return window_memory[page].bytes;
}

std::vector<armv7_virt::Caught> take_hits() {
  std::vector<armv7_virt::Caught> hits;
  while (const auto hit = armv7_virt::debug_events::take()) hits.push_back(*hit);
  return hits;
}

}  // namespace trapline::firmware::testing
