#include "interleave/founding_race.h"

#include <shared_mutex>
#include <string>

#include "interleave/hotplug_world.h"

namespace trapline::interleave {
namespace {

using hotplug::CallbackContext;
using hotplug::Placement;
using hotplug::Section;

struct FoundingWorld : World {
  using World::World;
  CpuSet debug_err_mask;
  unsigned resets = 0;
};

class FoundingRace final : public HotplugProgram<FoundingWorld> {
 public:
  explicit FoundingRace(Form form) : HotplugProgram(2, 2), form_(form) {}

  void begin(Explorer& explorer) override {
    make_world(explorer);
    require(machine().cpu_up(kFaulty).has_value(), "a CPU did not come up at the start");
  }
  void run(std::size_t thread) override {
    if (thread == 1) {
      require(machine().cpu_up(kMissing).has_value(), "cpu_up failed");
    } else if (form_ == Form::plain) {
      auto state = machine().setup_state(reset_state());
      const unsigned resets = look(state.has_value());
      require(machine().remove_state_nocalls(*state).has_value(), "the removal failed");
      check(resets);
    } else {
      const std::shared_lock lock(machine().online_cpus());
      auto state = machine().setup_state_cpuslocked(reset_state());
      const unsigned resets = look(state.has_value());
      require(machine().remove_state_nocalls_cpuslocked(*state).has_value(), "the removal failed");
      check(resets);
    }
  }
  void end() override {
    const CpuSet& online = machine().online_cpus().cpus();
    require(online.contains(kFaulty) && online.contains(kMissing), "a CPU is missing");
  }
  [[nodiscard]] std::string describe(std::size_t thread) const override {
    return thread == 0 ? "the driver" : "cpu_up";
  }

 private:
  static constexpr CpuId kFaulty{0};   // some of its debug registers cannot be reset
  static constexpr CpuId kMissing{1};  // comes online in the middle of it

  [[nodiscard]] hotplug::StateDefinition reset_state() {
    return {.name = "reset_ctrl_regs",
            .placement = Placement::dynamic(Section::online),
            .startup = hotplug::method<&FoundingRace::reset>,
            .object = this};
  }
  std::expected<void, Error> reset(const CallbackContext& context) {
    if (explorer().is_writing())
      explorer().note("reset_ctrl_regs on CPU " + std::to_string(context.cpu.value));
    explorer().step("is in the callback");
    ++world().resets;
    if (context.cpu == kFaulty) world().debug_err_mask.insert(context.cpu);
    return {};
  }
  // At the mask; returns how many CPUs had been reset by then.
  [[nodiscard]] unsigned look(bool is_set_up) {
    require(is_set_up, "the setup failed");
    explorer().step("looks at debug_err_mask");
    require(!world().debug_err_mask.empty(), "the reset did not run before setup_state returned");
    return world().resets;
  }
  void check(unsigned resets_at_look) {
    require(world().resets == resets_at_look,
            "a CPU was reset between the look at debug_err_mask and the removal");
  }

  Form form_;
};

}  // namespace

std::unique_ptr<Program> make_founding_race(Form form) {
  return std::make_unique<FoundingRace>(form);
}

}  // namespace trapline::interleave
