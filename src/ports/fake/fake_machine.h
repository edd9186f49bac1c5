// The hardware of a fake machine: CPUs that are present, can be powered, fail when told to; a
// clock.
//
// Nothing happens by itself: time passes when a test says so. Not synchronised; the fake port's
// contexts run one at a time.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::fake {

enum class Repeat : std::uint8_t { once, always };

// What becomes of a CPU whose start failed.
enum class Arrival : std::uint8_t {
  never,  // it stays off
  late,   // it is on afterwards, when nobody waits for it any more
};

class FakeMachine {
 public:
  // All present, all off.
  explicit FakeMachine(std::uint32_t cpu_count) : cpus_(cpu_count) {}

  // --- as the port sees it ---
  // False for ids the machine has no room for; likewise below.
  [[nodiscard]] bool is_present(CpuId cpu) const {
    return cpu.value < cpus_.size() && cpus_[cpu.value].is_present;
  }
  [[nodiscard]] bool is_on(CpuId cpu) const {
    return cpu.value < cpus_.size() && cpus_[cpu.value].is_on;
  }
  [[nodiscard]] bool may_run_on(CpuId cpu) const {
    return is_on(cpu) && cpus_[cpu.value].is_allowed;
  }
  // Errors: what a test asked for. Switching on what is on is a bug in the port: real firmware
  // answers ALREADY_ON.
  [[nodiscard]] std::expected<void, Error> power_on(CpuId cpu);
  [[nodiscard]] std::expected<void, Error> power_off(CpuId cpu);
  [[nodiscard]] Nanoseconds now() const { return now_; }
  [[nodiscard]] std::uint32_t cpu_count() const { return static_cast<std::uint32_t>(cpus_.size()); }

  // --- as a test sets it ---
  void set_present(CpuId cpu, bool is_present) { cpus_[cpu.value].is_present = is_present; }
  // Whether work meant for the CPU really runs there (affinity, cpuset).
  void set_allowed(CpuId cpu, bool is_allowed) { cpus_[cpu.value].is_allowed = is_allowed; }
  // By somebody else's doing.
  void arrive(CpuId cpu) { cpus_[cpu.value].is_on = true; }
  void lose(CpuId cpu) { cpus_[cpu.value].is_on = false; }
  void fail_start(CpuId cpu, ErrorCode code, Repeat repeat = Repeat::once,
                  Arrival arrival = Arrival::never) {
    cpus_[cpu.value].start_failure = {Error{code}, repeat, arrival};
  }
  void fail_stop(CpuId cpu, ErrorCode code, Repeat repeat = Repeat::once) {
    cpus_[cpu.value].stop_failure = {Error{code}, repeat, Arrival::never};
  }
  void heal(CpuId cpu) {
    cpus_[cpu.value].start_failure.reset();
    cpus_[cpu.value].stop_failure.reset();
  }
  void advance(Nanoseconds time) { now_.value += time.value; }
  // How often the CPU was switched on, failures included.
  [[nodiscard]] unsigned power_on_count(CpuId cpu) const { return cpus_[cpu.value].power_ons; }

 private:
  struct Failure {
    Error error;
    Repeat repeat{};
    Arrival arrival{};
  };
  struct Cpu {
    bool is_present = true;
    bool is_on = false;
    bool is_allowed = true;
    unsigned power_ons = 0;
    std::optional<Failure> start_failure = std::nullopt;
    std::optional<Failure> stop_failure = std::nullopt;
  };
  [[nodiscard]] static std::optional<Failure> take(std::optional<Failure>& failure);

  std::vector<Cpu> cpus_;
  Nanoseconds now_;
};

}  // namespace trapline::fake
