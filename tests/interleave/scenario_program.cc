// Scenarios as programs, and what is checked in them. The only file that a mutation of the state
// machine compiles again.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "interleave/hotplug_world.h"
#include "interleave/scenario.h"

namespace trapline::interleave {
namespace {

using hotplug::CallbackContext;
using hotplug::Direction;
using hotplug::Placement;
using hotplug::Section;
using hotplug::StateHandle;
using hotplug::StateNumber;

constexpr ErrorCode kCallbackError = ErrorCode::limit_reached;

constexpr std::array<Placement, kStateCount> kPlacements{{
    Placement::fixed(Section::prepare, 0),
    Placement::fixed(Section::starting, 0),
    Placement::fixed(Section::online, 0),
    Placement::fixed(Section::online, 1),
    Placement::dynamic(Section::online),
}};
constexpr const Placement& placement_of(State state) {
  return kPlacements[static_cast<std::size_t>(state)];
}
constexpr StateNumber number_of(State state) {
  const Placement& placement = placement_of(state);
  return StateNumber{
      static_cast<std::uint16_t>(kLayout.first_of(placement.section).value +
                                 placement.index.value_or(kLayout.fixed_in(placement.section)))};
}

class ScenarioProgram;

// What callbacks have done to one state or instance.
struct Resource {
  bool is_settled = false;  // it is set up, and nobody is removing it
  std::array<bool, kCpuLimit> is_up{};
};
struct TestState {
  ScenarioProgram* program = nullptr;
  State kind{};
  StateHandle handle;
  Resource resource;
};
struct TestInstance : hotplug::Instance {
  Resource resource;
};
struct ScenarioWorld : World {
  using World::World;
  std::array<TestState, kStateCount> states;
  std::array<TestInstance, kInstanceCount> instances;
  std::array<bool, kCpuLimit> was_online{};
  struct Progress {
    bool moves_cpu = false;                     // else it sets up or removes something
    std::optional<std::uint32_t> last_started;  // the CPU of its last callback
    std::optional<std::uint32_t> last_stopped;
  };
  std::array<Progress, Explorer::kMaxThreads + 1> progress{};  // per thread, of its action
  int callbacks_inside = 0;
  int readers_inside = 0;
  bool fails = true;  // the scenario's callback
};

class ScenarioProgram final : public HotplugProgram<ScenarioWorld> {
 public:
  explicit ScenarioProgram(const Scenario& scenario)
      : HotplugProgram(scenario.cpu_count, scenario.threads.size()), scenario_(scenario) {
    for (const auto& thread : scenario.threads) {
      for (const Action& action : thread) {
        const bool rests = action.kind == Action::Kind::rest;
        if (!rests && action.kind != Action::Kind::up && action.kind != Action::Kind::down)
          continue;
        ++movers_[action.cpu];
        if (rests) rests_[action.cpu] = true;
      }
    }
  }

  void begin(Explorer& explorer) override {
    make_world(explorer);
    for (const std::uint32_t cpu : scenario_.online) {
      require(machine().cpu_up(CpuId{cpu}).has_value(), "a CPU did not come up at the start");
      world().was_online[cpu] = true;
    }
    for (const State state : scenario_.states) act({.kind = Action::Kind::setup, .state = state});
    for (std::size_t index = 0; index < scenario_.instances; ++index)
      act({.kind = Action::Kind::add, .instance = index});
  }
  void run(std::size_t thread) override {
    for (const Action& action : scenario_.threads[thread]) act(action);
  }
  void end() override;
  [[nodiscard]] std::string describe(std::size_t thread) const override;

 private:
  [[nodiscard]] TestState& state(State kind) {
    return world().states[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] TestInstance& instance(std::size_t index) { return world().instances[index]; }
  [[nodiscard]] ScenarioWorld::Progress& progress() {
    return world().progress[explorer().running()];
  }
  // Online from beginning to end.
  [[nodiscard]] bool stays_online(std::uint32_t cpu) {
    return world().was_online[cpu] && movers_[cpu] == 0;
  }

  void act(const Action& action);
  void set_up_state(State kind);
  void remove_state(State kind);
  void add_instance(std::size_t index);
  void remove_instance(std::size_t index);
  void move_cpu(const Action& action);
  void read_cpus();
  template <typename Result>
  [[nodiscard]] bool succeeded(const Result& result);
  void check_up_where_online(const Resource& resource);
  void check_down(const Resource& resource);
  void check_readable();
  void check_tour(std::uint32_t cpu, bool starts);
  void check_walk(std::uint32_t cpu, const TestState& called, const TestInstance* instance);

  static std::expected<void, Error> on_call(const CallbackContext& context);
  [[nodiscard]] std::expected<void, Error> call(const CallbackContext& context, TestState& called,
                                                TestInstance* instance);

  const Scenario& scenario_;
  std::array<unsigned, kCpuLimit> movers_{};  // how many actions move the CPU
  std::array<bool, kCpuLimit> rests_{};       // one of them leaves it half way
};

void ScenarioProgram::act(const Action& action) {
  progress() = {};
  switch (action.kind) {
    case Action::Kind::setup:
      return set_up_state(action.state);
    case Action::Kind::remove:
      return remove_state(action.state);
    case Action::Kind::add:
      return add_instance(action.instance);
    case Action::Kind::drop:
      return remove_instance(action.instance);
    case Action::Kind::up:
    case Action::Kind::down:
    case Action::Kind::rest:
      return move_cpu(action);
    case Action::Kind::read:
      return read_cpus();
  }
}

// Whether it did what it was asked for; the only errors there may be are the one that the scenario
// asks for and the last CPU's.
template <typename Result>
bool ScenarioProgram::succeeded(const Result& result) {
  if (result) return true;
  const ErrorCode code = result.error().code;
  require(code == ErrorCode::last_cpu || (code == kCallbackError && scenario_.failure.has_value()),
          "a call failed that had no reason to");
  return false;
}

void ScenarioProgram::set_up_state(State kind) {
  TestState& it = state(kind);
  it.program = this;
  it.kind = kind;
  const hotplug::StateDefinition definition{.name = name_of(kind),
                                            .placement = placement_of(kind),
                                            .startup = &on_call,
                                            .teardown = &on_call,
                                            .object = &it};
  const bool is_multi = kind == State::multi;
  auto made =
      is_multi ? machine().setup_state_multi(definition) : machine().setup_state(definition);
  if (!succeeded(made)) {
    check_down(it.resource);
    return;
  }
  it.handle = std::move(*made);
  it.resource.is_settled = true;
  if (!is_multi) check_up_where_online(it.resource);
}

void ScenarioProgram::remove_state(State kind) {
  TestState& it = state(kind);
  it.resource.is_settled = false;
  if (succeeded(machine().remove_state(it.handle))) check_down(it.resource);
}

void ScenarioProgram::add_instance(std::size_t index) {
  TestInstance& it = instance(index);
  if (!succeeded(machine().add_instance(state(State::multi).handle, it))) {
    check_down(it.resource);
    return;
  }
  it.resource.is_settled = true;
  check_up_where_online(it.resource);
}

void ScenarioProgram::remove_instance(std::size_t index) {
  TestInstance& it = instance(index);
  it.resource.is_settled = false;
  if (succeeded(machine().remove_instance(state(State::multi).handle, it))) check_down(it.resource);
}

void ScenarioProgram::move_cpu(const Action& action) {
  const CpuId cpu{action.cpu};
  progress().moves_cpu = true;
  const auto moved = action.kind == Action::Kind::up ? machine().cpu_up(cpu)
                     : action.kind == Action::Kind::down
                         ? machine().cpu_down(cpu)
                         : machine().set_target(cpu, number_of(action.state));
  progress().moves_cpu = false;
  if (!succeeded(moved) || movers_[action.cpu] > 1 || action.kind == Action::Kind::rest) return;
  const bool is_up = action.kind == Action::Kind::up;
  require(machine().online_cpus().cpus().contains(cpu) == is_up,
          "a CPU operation returned before the CPU was there");
  for (const TestState& it : world().states) {
    if (it.kind != State::multi && it.resource.is_settled)
      require(it.resource.is_up[action.cpu] == is_up,
              "a CPU operation returned before every state had followed");
  }
}

void ScenarioProgram::read_cpus() {
  hotplug::OnlineCpus<fake::FakePort>& online = machine().online_cpus();
  online.cpus_read_lock();
  ++world().readers_inside;
  const CpuSet before = online.cpus();
  check_readable();
  explorer().step("reads under the lock");
  check_readable();
  require(online.cpus() == before, "the set of online CPUs changed under a reader");
  --world().readers_inside;
  online.cpus_read_unlock();
}

// A reader finds every state that exists up on exactly the online CPUs.
void ScenarioProgram::check_readable() {
  const CpuSet& online = machine().online_cpus().cpus();
  for (const TestState& it : world().states) {
    for (std::uint32_t cpu = 0; cpu < cpu_count(); ++cpu) {
      if (!it.resource.is_settled || it.kind == State::multi || rests_[cpu]) continue;
      require(it.resource.is_up[cpu] == online.contains(CpuId{cpu}),
              "a reader found a CPU half way");
    }
  }
}

void ScenarioProgram::check_up_where_online(const Resource& resource) {
  for (std::uint32_t cpu = 0; cpu < cpu_count(); ++cpu) {
    if (stays_online(cpu))
      require(resource.is_up[cpu], "a call returned before its startups had run");
  }
}

void ScenarioProgram::check_down(const Resource& resource) {
  for (std::uint32_t cpu = 0; cpu < cpu_count(); ++cpu)
    require(!resource.is_up[cpu], "a call returned before its teardowns had run");
}

// A CPU that walks has run what is below the state that is called, and nothing above.
void ScenarioProgram::check_walk(std::uint32_t cpu, const TestState& called,
                                 const TestInstance* instance) {
  require(world().readers_inside == 0, "a CPU changes while a reader holds the lock");
  const StateNumber number = number_of(called.kind);
  for (const TestState& it : world().states) {
    if (!it.resource.is_settled || it.kind == State::multi || &it == &called) continue;
    require(it.resource.is_up[cpu] == (number_of(it.kind) < number), "a CPU walks out of order");
  }
  if (!state(State::multi).resource.is_settled) return;
  for (std::size_t index = 0; index < scenario_.instances; ++index) {
    const TestInstance& it = this->instance(index);
    if (!it.resource.is_settled || &it == instance) continue;
    const bool is_below = instance == nullptr ? number_of(State::multi) < number : &it < instance;
    require(it.resource.is_up[cpu] == is_below, "a CPU walks its instances out of order");
  }
}

// A setup goes through the CPUs in ascending order, a removal or the undoing of a setup in
// descending order.
void ScenarioProgram::check_tour(std::uint32_t cpu, bool starts) {
  auto& [moves_cpu, last_started, last_stopped] = progress();
  require(starts ? !last_stopped && (!last_started || *last_started < cpu)
                 : !last_stopped || *last_stopped > cpu,
          "CPUs are called out of order");
  (starts ? last_started : last_stopped) = cpu;
}

std::expected<void, Error> ScenarioProgram::on_call(const CallbackContext& context) {
  auto& called = *static_cast<TestState*>(context.object);
  return called.program->call(context, called, static_cast<TestInstance*>(context.instance));
}

std::expected<void, Error> ScenarioProgram::call(const CallbackContext& context, TestState& called,
                                                 TestInstance* instance) {
  const std::uint32_t cpu = context.cpu.value;
  const bool starts = context.direction == Direction::startup;
  const Section section = placement_of(called.kind).section;
  if (explorer().is_writing()) {
    explorer().note(std::string(starts ? "startup of " : "teardown of ") +
                    std::string(name_of(called.kind)) + " for CPU " + std::to_string(cpu));
  }
  require(world().callbacks_inside == 0, "two callbacks run at once");
  ++world().callbacks_inside;
  require(world().port.current().cpu ==
              (section == Section::prepare ? std::nullopt : std::optional(context.cpu)),
          "a callback runs where it does not belong");
  require(!progress().moves_cpu ||
              machine().online_cpus().cpus().contains(context.cpu) == (section == Section::online),
          "a CPU is online too early, or too long");
  Resource& resource = instance != nullptr ? instance->resource : called.resource;
  require(resource.is_up[cpu] != starts, starts ? "a startup ran twice" : "a teardown ran twice");
  if (progress().moves_cpu) {
    check_walk(cpu, called, instance);
  } else {
    check_tour(cpu, starts);
  }
  explorer().step("is in the callback");
  --world().callbacks_inside;
  const auto& failure = scenario_.failure;
  if (failure && world().fails && failure->state == called.kind && failure->cpu == cpu &&
      failure->in_startup == starts &&
      (!failure->instance ||
       (instance != nullptr && &this->instance(*failure->instance) == instance)))
    return std::unexpected(Error{kCallbackError});
  resource.is_up[cpu] = starts;
  return {};
}

void ScenarioProgram::end() {
  require(!machine().online_cpus().cpus().empty(), "the last CPU went");
  for (std::uint32_t cpu = 0; cpu < cpu_count(); ++cpu) {
    const StateNumber reached = machine().status(CpuId{cpu}).value().state;
    for (const TestState& it : world().states) {
      const bool is_due = it.handle.owns_state() && reached >= number_of(it.kind);
      if (it.kind != State::multi) {
        require(it.resource.is_up[cpu] == is_due, "a callback was lost");
        continue;
      }
      for (const TestInstance& instance : world().instances)
        require(instance.resource.is_up[cpu] == (is_due && instance.is_added()),
                "a callback of an instance was lost");
    }
  }
  // Removing everything undoes all of it.
  world().fails = false;
  for (std::size_t index = 0; index < kInstanceCount; ++index) {
    if (instance(index).is_added()) act({.kind = Action::Kind::drop, .instance = index});
  }
  for (const TestState& it : world().states) {
    if (it.handle.owns_state()) act({.kind = Action::Kind::remove, .state = it.kind});
  }
}

std::string ScenarioProgram::describe(std::size_t thread) const {
  std::string actions;
  for (const Action& action : scenario_.threads[thread])
    actions += (actions.empty() ? "" : ", ") + text_of(action);
  return actions;
}

}  // namespace

std::unique_ptr<Program> make_program(const Scenario& scenario) {
  return std::make_unique<ScenarioProgram>(scenario);
}

}  // namespace trapline::interleave
