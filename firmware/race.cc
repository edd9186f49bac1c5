#include "race.h"

#include <atomic>
#include <shared_mutex>
#include <utility>

#include "describe.h"
#include "ports/armv7_virt/print.h"

namespace trapline::firmware {
namespace {

using armv7_virt::print_line;

constexpr CpuId kOther{1};  // asks for the arrival
constexpr CpuId kArriving{3};
constexpr Nanoseconds kWindow{50'000'000};

// The driver, and the other CPU that asks in the middle of what it does.
class Race {
 public:
  explicit Race(Board& board) : board_(board) {}

  void play(bool with_lock) {
    if (with_lock) {
      std::shared_lock lock(board_.machine().online_cpus());
      if (!take(board_.machine().setup_state_cpuslocked(definition()))) return;
      look_and_wait();
      report(board_.machine().remove_state_nocalls_cpuslocked(state_).has_value());
      lock.unlock();
    } else {
      if (!take(board_.machine().setup_state(definition()))) return;
      look_and_wait();
      report(board_.machine().remove_state_nocalls(state_).has_value());
    }
    armv7_virt::join_thread(kOther);
    print_line("    in the end CPU ", kArriving, " is online, reset by the driver: ",
               resets_ > at_look_ ? "yes, by a state that is gone" : "no");
  }

 private:
  [[nodiscard]] hotplug::StateDefinition definition() {
    return {.name = "driver:reset",
            .placement = hotplug::Placement::dynamic(hotplug::Section::online),
            .startup = hotplug::method<&Race::reset>,
            .object = this};
  }
  [[nodiscard]] bool take(Machine::SetupResult made) {
    if (made) {
      state_ = *std::move(made);
    } else {
      print_line("    the driver cannot register its state: ", made.error().code);
    }
    return made.has_value();
  }
  std::expected<void, Error> reset(const hotplug::CallbackContext& context) {
    print_line("    reset on CPU ", context.cpu);
    ++resets_;
    return {};
  }
  void look_and_wait() {
    at_look_ = resets_;
    print_line("    the driver looks at debug_err_mask: ", at_look_, " CPUs were reset");
    const auto started = armv7_virt::start_thread(
        kOther, [](void* self) { static_cast<Race*>(self)->bring_up(); }, this);
    if (!started) print_line("    the thread of CPU ", kOther, " is not to be had");
    // Time enough for it to come, if nothing holds it.
    const std::uint64_t end = armv7_virt::timer::now().value + kWindow.value;
    armv7_virt::wait_while([end] { return armv7_virt::timer::now().value < end; });
  }
  void bring_up() {
    print_line("    CPU ", kOther, " asks for CPU ", kArriving);
    const auto up = board_.machine().cpu_up(kArriving);
    if (!up) print_cpu_failure("turn on", kArriving, up.error());
  }
  void report(bool removed) {
    print_line("    the driver removes its state", removed ? "" : ", in vain", ": ",
               resets_ == at_look_ ? "no CPU was reset since it looked"
                                   : "CPU 3 was reset after it looked: the race");
  }

  Board& board_;
  hotplug::StateHandle state_;
  std::atomic<unsigned> resets_{0};
  unsigned at_look_ = 0;
};

}  // namespace

bool play_race(Board& board, bool with_lock) {
  if (!board.port().is_present(kArriving)) {
    print_line("the race needs four CPUs");
    return false;
  }
  if (const auto up = board.machine().cpu_up(kOther); !up) {
    print_cpu_failure("turn on", kOther, up.error());
    return false;
  }
  if (const auto down = board.machine().cpu_down(kArriving); !down) {
    print_cpu_failure("turn off", kArriving, down.error());
    return false;
  }
  print_line(with_lock ? "  under cpus_read_lock:" : "  without the lock:");
  Race(board).play(with_lock);
  return true;
}

}  // namespace trapline::firmware
