#include "console.h"

#include <algorithm>
#include <shared_mutex>

#include "describe.h"
#include "isa/armv7/guarded_instructions.h"
#include "mishaps.h"
#include "ports/armv7_virt/debug_events.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/psci.h"
#include "race.h"

namespace trapline::firmware {

using armv7_virt::Hex;
using armv7_virt::Padded;
using armv7_virt::print;
using armv7_virt::print_line;

volatile std::uint32_t demo_counter = 0;

struct Console::Command {
  std::string_view name;
  std::string_view usage;
  std::string_view what;
  bool (Console::*run)(const Words& words);
};

const std::array<Console::Command, 18> Console::kCommands{{
    {"help", "help", "this list", &Console::show_help},
    {"cpus", "cpus", "the CPUs and the states they are at", &Console::show_cpus},
    {"off", "off CPU", "turn a CPU off", &Console::turn_cpu_off},
    {"on", "on CPU", "turn a CPU on", &Console::turn_cpu_on},
    {"states", "states", "the hotplug states", &Console::show_states},
    {"fail", "fail CPU STATE", "let a state fail on a CPU, once", &Console::fail_at_state},
    {"refuse", "refuse on|off", "let PSCI refuse the next CPU_ON or CPU_OFF",
     &Console::refuse_power},
    {"watch", "watch ADDR|counter LEN r|w|rw|x", "watch memory on every CPU", &Console::add_watch},
    {"unwatch", "unwatch N", "end a watch", &Console::remove_watch},
    {"watches", "watches", "the watches and their registers", &Console::show_watches},
    {"hits", "hits", "what was caught since the last time", &Console::show_hits},
    {"poke", "poke ADDR|counter VALUE [CPU]", "store a word, from a CPU", &Console::poke},
    {"undef", "undef CPU [hook|nested|circle]",
     "execute an undefined instruction; with a hook; with one that faults; with one that takes "
     "that",
     &Console::execute_undefined},
    {"overflow", "overflow CPU", "fault without room on the stack of fault handlers",
     &Console::overflow_stack},
    {"race", "race", "the founding race, without and with the lock", &Console::show_race},
    {"stuck", "stuck CPU [masked]", "hang a CPU, until the watchdog bites", &Console::get_stuck},
    {"trace", "trace on|off", "tell every step of the state machine", &Console::set_trace},
    {"quit", "quit", "turn the machine off", &Console::quit},
}};

namespace {

std::optional<std::uint32_t> parse_address(std::string_view word) {
  if (word == "counter") return reinterpret_cast<std::uintptr_t>(&demo_counter);
  return parse_number(word);
}

std::optional<Access> parse_access(std::string_view word) {
  for (const Access access : {Access::read, Access::write, Access::read_write, Access::execute}) {
    if (word == name_of(access)) return access;
  }
  return std::nullopt;
}

std::string_view verb(Access access) {
  switch (access) {
    case Access::read:
      return "read";
    case Access::write:
      return "wrote";
    case Access::read_write:
      return "read and wrote";
    case Access::execute:
      return "executed";
  }
  return "?";
}

std::string_view told(armv7_virt::Ending ending) {
  using armv7_virt::Ending;
  switch (ending) {
    case Ending::made:
      return "";
    case Ending::faulted:
      return ", but it did not happen: it faulted";
    case Ending::store_gave_up:
      return ", but it did not happen: an exclusive store failed and was not tried again";
    case Ending::not_seen:
      return ", but an interrupt came before an exclusive store was tried again: it may have been "
             "made since";
  }
  return "";
}

bool not_a(std::string_view what, std::string_view word) {
  if (word.empty()) {
    print_line(what, " is missing");
  } else {
    print_line("'", word, "' is not ", what);
  }
  return false;
}

}  // namespace

void Console::execute(std::string_view line) {
  const Words words(line);
  if (words.count() == 0) return;
  const auto* const command = std::ranges::find(kCommands, words[0], &Command::name);
  if (command == kCommands.end()) {
    print_line("no command '", words[0], "'. 'help' lists them");
    return;
  }
  if (!(this->*command->run)(words)) print_line("usage: ", command->usage);
}

bool Console::show_help(const Words& /*words*/) {
  for (const Command& command : kCommands)
    print_line("  ", Padded{command.usage, 33}, command.what);
  return true;
}

bool Console::show_cpus(const Words& /*words*/) {
  const CpuSet unwatched = board_.watches().debug_err_mask();
  for (std::uint32_t id = 0; id < armv7_virt::kMaxBoardCpus; ++id) {
    const CpuId cpu{id};
    if (!board_.port().is_present(cpu)) continue;
    const auto status = board_.machine().status(cpu);
    if (!status) continue;
    print("  CPU ", cpu, ": ", is_online(cpu) ? "online, " : "offline, ", "state ",
          status->state.value, " (", board_.machine().state_name(status->state).value_or("?"), ")");
    if (status->error)
      print(", last error ", status->error->code, " at state ", status->failed_state.value);
    if (status->unsettled != 0) print(", ", status->unsettled, " left over");
    if (unwatched.contains(cpu)) print(", debug registers cannot be reset");
    print('\n');
  }
  return true;
}

bool Console::turn_cpu_off(const Words& words) {
  const auto number = parse_number(words[1]);
  if (!number) return not_a("a CPU's number", words[1]);
  const CpuId cpu{*number};
  if (board_.port().is_present(cpu) && !is_online(cpu)) {
    print_line("CPU ", cpu, " is off already");
    return true;
  }
  if (const auto down = board_.machine().cpu_down(cpu); !down) {
    print_cpu_failure("turn off", cpu, down.error());
  } else if (armv7_virt::is_off_unconfirmed(cpu)) {
    print_line("CPU ", cpu, " has left, but PSCI does not say that it is off. 'on ", cpu,
               "' asks again");
  } else {
    print_line("CPU ", cpu, " is off");
  }
  return true;
}

bool Console::turn_cpu_on(const Words& words) {
  const auto number = parse_number(words[1]);
  if (!number) return not_a("a CPU's number", words[1]);
  const CpuId cpu{*number};
  if (board_.port().is_present(cpu) && is_online(cpu)) {
    print_line("CPU ", cpu, " is on already");
    return true;
  }
  if (const auto up = board_.machine().cpu_up(cpu); !up) {
    print_cpu_failure("turn on", cpu, up.error());
  } else {
    print_line("CPU ", cpu, " is on");
  }
  return true;
}

bool Console::show_states(const Words& /*words*/) {
  const auto shown =
      board_.machine().for_each_state([this](hotplug::StateNumber number, std::string_view name) {
        const auto section = board_.machine().layout().section_of(number);
        print_line("  ", number.value, number.value < 10 ? "   " : "  ", Padded{name, 24},
                   section ? name_of(*section) : "built in");
      });
  return shown.has_value();
}

bool Console::fail_at_state(const Words& words) {
  const auto cpu = parse_number(words[1]);
  if (!cpu) return not_a("a CPU's number", words[1]);
  const auto state = state_of(words[2]);
  if (!state) return not_a("a state's number or name", words[2]);
  if (const auto set = board_.machine().fail_at(CpuId{*cpu}, *state); !set) {
    print_cpu_failure("let a state fail on", CpuId{*cpu}, set.error());
  } else {
    print_line("state ", state->value, " will fail on CPU ", *cpu, ", once");
  }
  return true;
}

bool Console::refuse_power(const Words& words) {
  using armv7_virt::psci::Function;
  using armv7_virt::psci::Result;
  if (words[1] != "on" && words[1] != "off") return not_a("'on' or 'off'", words[1]);
  const bool is_on = words[1] == "on";
  refuse_next(is_on ? Function::cpu_on : Function::cpu_off,
              is_on ? Result::internal_failure : Result::denied);
  print_line("PSCI will refuse the next CPU_", is_on ? "ON" : "OFF");
  return true;
}

bool Console::add_watch(const Words& words) {
  const auto address = parse_address(words[1]);
  if (!address) return not_a("an address", words[1]);
  const auto length = parse_number(words[2]);
  if (!length) return not_a("a length", words[2]);
  const auto access = parse_access(words[3]);
  if (!access) return not_a("r, w, rw or x", words[3]);
  auto* const free = std::ranges::find(watches_, false, &CpuWatch::is_added);
  if (free == watches_.end()) {
    print_line("cannot watch: there are ", watches_.size(),
               " watches already. 'unwatch N' ends one");
    return true;
  }
  const Request request{RemoteAddress(*address), ByteCount{*length}, *access};
  if (const auto added = board_.watches().add(*free, request); !added) {
    print_watch_failure(added.error(), board_.watches().free_slots(*access == Access::execute));
    return true;
  }
  print_line("watch ", free - watches_.begin(), " is set on every CPU, with ",
             free->registers().size(), free->registers().size() == 1 ? " register" : " registers");
  return true;
}

bool Console::remove_watch(const Words& words) {
  const auto number = parse_number(words[1]);
  if (!number) return not_a("a watch's number", words[1]);
  if (*number >= watches_.size() || !watches_[*number].is_added()) {
    print_line("there is no watch ", *number, ". 'watches' lists them");
    return true;
  }
  if (board_.watches().remove(watches_[*number]))
    print_line("watch ", *number, " is removed from every CPU");
  return true;
}

bool Console::show_watches(const Words& /*words*/) {
  for (const CpuWatch& watch : watches_) {
    if (!watch.is_added()) continue;
    print("  ", &watch - watches_.data(), ": ", watch.request().length.value, " bytes at ",
          watch.request().address, ", ", name_of(watch.request().access), ", register");
    for (const SlotIndex index : watch.registers()) print(' ', index.value);
    print('\n');
  }
  print_line("  free: ", board_.watches().free_slots(false), " watchpoints, ",
             board_.watches().free_slots(true), " breakpoints");
  return true;
}

bool Console::show_hits(const Words& /*words*/) {
  static std::uint64_t lost_before = 0;
  unsigned count = 0;
  while (const auto hit = armv7_virt::debug_events::take()) {
    ++count;
    print("  CPU ", hit->cpu, " ", verb(hit->access));
    if (hit->accessed) {
      print(" ", *hit->accessed);
    } else {
      print(" an unknown address");
    }
    print(" from ", Hex{hit->pc});
    if (hit->slot && hit->access != Access::execute)
      print(": ", Hex{static_cast<std::uint32_t>(hit->old_value)}, " -> ",
            Hex{static_cast<std::uint32_t>(hit->new_value)});
    print(told(hit->ending));
    if (const auto watch = watch_of(*hit)) print(" (watch ", *watch, ")");
    print('\n');
  }
  const std::uint64_t lost = armv7_virt::debug_events::lost();
  print_line("  ", count, " hits, ", lost - lost_before, " lost");
  lost_before = lost;
  return true;
}

bool Console::poke(const Words& words) {
  const auto address = parse_address(words[1]);
  if (!address) return not_a("an address", words[1]);
  const auto value = parse_number(words[2]);
  if (!value) return not_a("a value", words[2]);
  const auto cpu = words.count() > 3 ? online_cpu(words[3]) : CpuId{0};
  if (!cpu) return false;
  struct Store {
    std::uint32_t address;
    std::uint32_t value;
    std::uintptr_t fault;
  } store{*address, *value, 0};
  run_on_thread(
      *cpu,
      [](void* argument) {
        auto& it = *static_cast<Store*>(argument);
        it.fault = isa::guarded_store(reinterpret_cast<void*>(it.address), it.value);
      },
      &store);
  if (store.fault != 0) {
    print_line("cannot store at ", Hex{*address}, ": CPU ", *cpu,
               " faulted. Choose an address that "
               "may be written");
  } else {
    print_line("CPU ", *cpu, " stored ", Hex{*value}, " at ", Hex{*address});
  }
  return true;
}

bool Console::execute_undefined(const Words& words) {
  const auto cpu = online_cpu(words[1]);
  if (!cpu) return false;
  if (words[2] == "hook") {
    undefined_with_hook(*cpu);
  } else if (words[2] == "nested") {
    undefined_with_faulting_hook(*cpu);
  } else if (words[2] == "circle") {
    undefined_in_a_circle(*cpu);
  } else if (words[2].empty()) {
    undefined(*cpu);
  } else {
    return not_a("'hook', 'nested' or 'circle'", words[2]);
  }
  return true;
}

bool Console::overflow_stack(const Words& words) {
  const auto cpu = online_cpu(words[1]);
  if (!cpu) return false;
  abort_without_stack(*cpu);
  return true;
}

bool Console::show_race(const Words& /*words*/) {
  if (play_race(board_, false)) static_cast<void>(play_race(board_, true));
  return true;
}

bool Console::get_stuck(const Words& words) {
  const auto cpu = online_cpu(words[1]);
  if (!cpu) return false;
  if (words.count() > 2 && words[2] != "masked") return not_a("'masked'", words[2]);
  hang(*cpu, words[2] == "masked");
  return true;
}

bool Console::set_trace(const Words& words) {
  if (words[1] != "on" && words[1] != "off") return not_a("'on' or 'off'", words[1]);
  tracer_.switch_to(words[1] == "on");
  return true;
}

bool Console::quit(const Words& /*words*/) {
  exit_status_ = 0;
  return true;
}

std::optional<CpuId> Console::online_cpu(std::string_view word) {
  const auto number = parse_number(word);
  if (!number) {
    static_cast<void>(not_a("a CPU's number", word));
    return std::nullopt;
  }
  if (board_.port().is_present(CpuId{*number}) && is_online(CpuId{*number})) return CpuId{*number};
  print_line("CPU ", *number, " is not online. 'cpus' lists them");
  return std::nullopt;
}

std::optional<hotplug::StateNumber> Console::state_of(std::string_view word) {
  if (const auto number = parse_number(word); number && *number <= 0xffff)
    return hotplug::StateNumber{static_cast<std::uint16_t>(*number)};
  std::optional<hotplug::StateNumber> found;
  const auto searched =
      board_.machine().for_each_state([&](hotplug::StateNumber number, std::string_view name) {
        if (name == word) found = number;
      });
  return searched ? found : std::nullopt;
}

bool Console::is_online(CpuId cpu) {
  const std::shared_lock lock(board_.machine().online_cpus());
  return board_.machine().online_cpus().cpus().contains(cpu);
}

std::optional<std::size_t> Console::watch_of(const armv7_virt::Caught& hit) const {
  for (std::size_t index = 0; index < watches_.size(); ++index) {
    if (hit.slot && watches_[index].owns(*hit.slot, hit.access)) return index;
  }
  return std::nullopt;
}

}  // namespace trapline::firmware
