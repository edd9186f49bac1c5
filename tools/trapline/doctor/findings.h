// What the doctor looks at, gathered once, printed as text or JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "ports/linux/capability_probe.h"
#include "ports/linux/privileges.h"
#include "ports/linux/slot_holders.h"
#include "trapline/port/debug_architecture.h"

namespace trapline::command {

struct CollectorFinding {
  std::string name;
  bool allowed = false;  // no setting is in the way
  bool fires = false;    // a watch on a private variable was set and seen
  std::string reason;    // why not, and what to do; "" if all is well
};

struct Findings {
  std::string kernel;  // uname -r
  DebugArchitecture architecture;
  std::optional<linux_port::ProbedCapabilities> probed;
  std::string probe_failure;  // why nothing could be probed
  linux_port::Privileges privileges;
  std::vector<CollectorFinding> collectors;
  std::vector<linux_port::SlotHolder> holders;

  // At least one collector works here.
  [[nodiscard]] bool can_watch() const;
};

// Takes some milliseconds; opens and closes events of this thread and starts one child.
[[nodiscard]] Findings examine();

[[nodiscard]] std::string to_text(const Findings& findings);
[[nodiscard]] std::string to_json(const Findings& findings);

}  // namespace trapline::command
