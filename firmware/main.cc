// The firmware: all CPUs online, the debug registers reset, then the console. With "demo" among the
// emulator's arguments it plays the tour and ends.
#include <array>
#include <cstddef>
#include <memory>

#include "board.h"
#include "console.h"
#include "demo.h"
#include "describe.h"
#include "input.h"
#include "mishaps.h"
#include "ports/armv7_virt/boot.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/semihosting.h"
#include "ports/armv7_virt/watchdog.h"

namespace {

using namespace trapline;
using namespace trapline::firmware;
using armv7_virt::print_line;

constinit PrintingTracer tracer;

Board& board() {
  // Never destroyed: the machine has no end at which it could be.
  alignas(Board) static std::array<std::byte, sizeof(Board)> storage;
  static Board* const made = std::construct_at(reinterpret_cast<Board*>(storage.data()), &tracer);
  return *made;
}

// A callback that takes longer hangs.
constexpr Nanoseconds kHangLimit{2'000'000'000};

bool bring_up() {
  if (const auto up = board().bring_up_all(); !up) {
    print_line("not all CPUs came up: ", up.error().code);
    return false;
  }
  if (const auto enabled = board().watches().enable(); !enabled)
    print_watch_failure(enabled.error(), 0);
  const auto identity = armv7_virt::debug_unit().identity();
  print_line("trapline firmware: ", identity.watchpoints, " watchpoints, ", identity.breakpoints,
             " breakpoints, debug architecture ", identity.version, ", ",
             armv7_virt::timer::now().value / 1'000'000, " ms after power-on");
  return true;
}

int serve(Console& console) {
  std::array<char, 128> line;
  print_line("'help' lists the commands");
  start_input();
  while (!console.exit_status()) {
    armv7_virt::print("> ");
    console.execute(read_line(line));
  }
  return *console.exit_status();
}

}  // namespace

int firmware_main() {
  std::array<char, 256> arguments;
  const Words words(armv7_virt::semihosting::command_line(arguments));
  const bool is_demo = words[0] == "demo" || words[1] == "demo";
  if (!bring_up()) return 1;
  armv7_virt::watchdog::set_observer([] {
    if (armv7_virt::this_cpu().id == armv7_virt::first_cpu())
      board().machine().check_hung(kHangLimit);
  });
  keep_console_after_faults();
  Console console(board(), tracer);
  if (!is_demo) return serve(console);
  play_demo(console);
  return 0;
}
