// The console's commands: a line in, what was done or what was wrong with it out.
//
// From the thread of the first CPU.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "board.h"
#include "ports/armv7_virt/debug_events.h"
#include "trace.h"
#include "words.h"

namespace trapline::firmware {

class Console {
 public:
  Console(Board& board, PrintingTracer& tracer) : board_(board), tracer_(tracer) {}
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // An empty line is one that does nothing.
  void execute(std::string_view line);
  // What the machine is to end with, once 'quit' asked for it.
  [[nodiscard]] std::optional<int> exit_status() const { return exit_status_; }

 private:
  struct Command;
  static const std::array<Command, 18> kCommands;

  // False: the words make no sense, and the usage is to be shown.
  bool show_help(const Words& words);
  bool show_cpus(const Words& words);
  bool turn_cpu_off(const Words& words);
  bool turn_cpu_on(const Words& words);
  bool show_states(const Words& words);
  bool fail_at_state(const Words& words);
  bool refuse_power(const Words& words);
  bool add_watch(const Words& words);
  bool remove_watch(const Words& words);
  bool show_watches(const Words& words);
  bool show_hits(const Words& words);
  bool poke(const Words& words);
  bool execute_undefined(const Words& words);
  bool overflow_stack(const Words& words);
  bool show_race(const Words& words);
  bool get_stuck(const Words& words);
  bool set_trace(const Words& words);
  bool quit(const Words& words);

  [[nodiscard]] std::optional<CpuId> online_cpu(std::string_view word);
  [[nodiscard]] std::optional<hotplug::StateNumber> state_of(std::string_view word);
  [[nodiscard]] bool is_online(CpuId cpu);
  [[nodiscard]] std::optional<std::size_t> watch_of(const armv7_virt::Caught& hit) const;

  Board& board_;
  PrintingTracer& tracer_;
  std::array<CpuWatch, 8> watches_;
  std::optional<int> exit_status_;
};

// A variable to watch and to poke; the console knows it as "counter".
extern volatile std::uint32_t demo_counter;

}  // namespace trapline::firmware
