#include "trace.h"

#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/print.h"

namespace trapline::firmware {

using armv7_virt::print_line;

void PrintingTracer::on_trace(const hotplug::TraceEvent& event) {
  using Kind = hotplug::TraceEvent::Kind;
  // A callback that hangs is told in any case.
  if (event.kind == Kind::hung) {
    print_line("hung: ", event.name, " on CPU ", event.cpu, " runs for ",
               event.duration.value / 1'000'000, " ms");
    return;
  }
  if (!is_on_) return;
  const bool starts = event.direction == hotplug::Direction::startup;
  switch (event.kind) {
    case Kind::enter:
      print_line("    ", starts ? "startup  " : "teardown ", event.name, " for CPU ", event.cpu,
                 ", runs on CPU ", armv7_virt::this_cpu().id);
      break;
    case Kind::exit:
      if (event.error) print_line("    ", event.name, " failed: ", event.error->code);
      break;
    case Kind::transition_begin:
      print_line("    CPU ", event.cpu, starts ? " comes up" : " goes down");
      break;
    case Kind::transition_end:
      print_line("    CPU ", event.cpu, " is at state ", event.state.value, " after ",
                 event.duration.value / 1000, " us", event.error ? ", with an error" : "");
      break;
    case Kind::hung:
      break;
  }
}

}  // namespace trapline::firmware
