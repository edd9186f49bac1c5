// The state machine that programs explore, on a fake machine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "interleave/explorer.h"
#include "interleave/scenario.h"
#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"
#include "trapline/hotplug/state_machine.h"

namespace trapline::interleave {

inline constexpr hotplug::StateLayout kLayout{.prepare_fixed = 1,
                                              .prepare_dynamic = 0,
                                              .starting_fixed = 1,
                                              .online_fixed = 2,
                                              .online_dynamic = 1};

// Made anew for each run; programs add what they need.
struct World {
  World(std::uint32_t cpu_count, std::size_t thread_count)
      : hardware(cpu_count),
        port(hardware, thread_count),
        machine(port, kLayout, std::span(storage.cpus).first(cpu_count), storage.states) {}
  fake::FakeMachine hardware;
  fake::FakePort port;
  hotplug::StaticStorage<kCpuLimit, kLayout> storage;
  hotplug::StateMachine<fake::FakePort> machine;
};

template <typename TheWorld>
class HotplugProgram : public Program {
 public:
  HotplugProgram(std::uint32_t cpu_count, std::size_t thread_count)
      : cpu_count_(cpu_count), thread_count_(thread_count) {}

  [[nodiscard]] std::size_t thread_count() const final { return thread_count_; }
  [[nodiscard]] fake::Context& context(std::size_t thread) final {
    return world().port.thread(thread);
  }
  void abandon() final { static_cast<void>(world_.release()); }

 protected:
  void make_world(Explorer& explorer) {
    explorer_ = &explorer;
    world_ = std::make_unique<TheWorld>(cpu_count_, thread_count_);
    explorer.set_current(world_->port.thread(0));
  }
  [[nodiscard]] TheWorld& world() { return *world_; }
  [[nodiscard]] auto& machine() { return world_->machine; }
  [[nodiscard]] Explorer& explorer() { return *explorer_; }
  [[nodiscard]] std::uint32_t cpu_count() const { return cpu_count_; }
  void require(bool holds, const char* message) {
    if (!holds) [[unlikely]]
      explorer_->violation(message);
  }

 private:
  std::uint32_t cpu_count_;
  std::size_t thread_count_;
  Explorer* explorer_ = nullptr;
  std::unique_ptr<TheWorld> world_;
};

}  // namespace trapline::interleave
