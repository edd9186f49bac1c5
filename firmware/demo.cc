#include "demo.h"

#include "ports/armv7_virt/print.h"

namespace trapline::firmware {
namespace {

struct Step {
  std::string_view why;  // lines
  std::string_view command;
};

constexpr Step kTour[] = {
    {"Every CPU has debug registers of its own. After power-up they hold anything, so each CPU has "
     "to\n"
     "reset them as it comes online. That is a hotplug state; its startup runs on the CPU itself. "
     "It\n"
     "was set up when this console started, and ran on all of these before setup_state returned:",
     "cpus"},
    {"The first online state is that reset, the second one installs the watches:", "states"},
    {"A watch on a variable: its registers are written on every CPU, by each CPU's hotplug thread.",
     "watch counter 4 w"},
    {"So a store is caught wherever it is made. The watchpoint traps before the store; the "
     "handler\n"
     "steps over it, and reads the new value.",
     "poke counter 17 2"},
    {"", "hits"},
    {"A CPU that is turned off loses its registers. The steps it goes through, down and up again:",
     "trace on"},
    {"", "off 2"},
    {"", "on 2"},
    {"", "trace off"},
    {"It was reset and has the watch again, before anything else could run on it:",
     "poke counter 18 2"},
    {"", "hits"},
    {"Now the founding problem. A driver registers its reset, looks for CPUs on which it failed, "
     "and\n"
     "if there are any removes the state without calling back. If a CPU comes online in between, "
     "it\n"
     "is reset by a state that is gone a moment later. cpus_read_lock around all of it makes the "
     "CPU\n"
     "wait:",
     "race"},
    {"The reset has to survive a debug register that this CPU does not have: reading it is an\n"
     "undefined instruction. A hook for that instruction is for the whole machine. While it is\n"
     "there, somebody else's undefined instruction on another CPU is swallowed:",
     "undef 1 hook"},
    {"An exception-table entry is for one instruction in one place. With the table, the other "
     "CPU's\n"
     "fault is what it is, a bug, and is reported:",
     "undef 1"},
    {"A bad address is no bug of the console: the store has an entry, the fault becomes an answer.",
     "poke 0x10 1"},
    {"What fails on the way up is undone, and the CPU can be tried again.", "off 3"},
    {"", "fail 3 hw_breakpoint:reset"},
    {"", "on 3"},
    {"", "on 3"},
    {"What firmware refuses is an error with its reason, and the CPU is whole again.",
     "refuse off"},
    {"", "off 3"},
    {"", "cpus"},
};

}  // namespace

void play_demo(Console& console) {
  for (const Step& step : kTour) {
    if (!step.why.empty()) {
      armv7_virt::print('\n');
      armv7_virt::write_text(step.why);
      armv7_virt::print('\n');
    }
    armv7_virt::print_line("> ", step.command);
    console.execute(step.command);
  }
  armv7_virt::print_line("\nThat was the tour. firmware/run gives you the console itself.");
}

}  // namespace trapline::firmware
