// The machine that is measured: what the report says of it, and what `trapline doctor` does.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"

namespace trapline::peers {

struct Machine {
  std::string kernel;     // uname -r
  std::string processor;  // "": not told
  std::size_t cpus = 0;   // online
  // Instructions are translated, so no time means what it does on a machine.
  bool is_emulated = false;
};

struct CollectorState {
  std::string name;
  bool fires = false;  // a watch was set, and seen
  std::string reason;  // why not; "": it does
};

// Pure: the processor's name from /proc/cpuinfo, and whether it is QEMU's translator (target/i386
// of QEMU names it "QEMU TCG CPU version ..."; under KVM the name is the host's, or another).
[[nodiscard]] std::string processor_name(std::string_view cpuinfo);
[[nodiscard]] bool is_emulator(std::string_view processor);
// Pure: what `trapline doctor -f json` printed. Errors: bad_syntax.
[[nodiscard]] Result<std::vector<CollectorState>> parse_doctor(std::string_view json);

[[nodiscard]] Machine this_machine();
// Runs the command; `folder` is for its output. Errors: no_hardware, in one sentence, if no
// collector fires.
[[nodiscard]] Result<std::vector<CollectorState>> ask_doctor(const std::string& trapline,
                                                             const std::string& folder);

}  // namespace trapline::peers
