// Which collector a watch uses: the best that this user may use here and that is proved to fire.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"

namespace trapline::command {

struct InstalledCollector {
  std::unique_ptr<linux_port::Collector> collector;
  linux_port::InstallReport report;
  std::vector<std::string> notes;  // why it is not the first choice; what it cannot do
};

// What a collector has to capture for this watch.
[[nodiscard]] linux_port::CollectorOptions collector_options_for(const WatchOptions& options,
                                                                 const WatchedObject& object);

// Tests that a debug register fires here, then installs the object's plan. With
// CollectorChoice::automatic the next collector is taken when one is forbidden or missing, or finds
// no register free (an earlier ptrace session may keep some that ptrace can use), and the notes say
// so.
[[nodiscard]] Result<InstalledCollector> install_collector(const WatchOptions& options,
                                                           const linux_port::TargetScope& scope,
                                                           const WatchedObject& object);

struct MachineObject;
// The same for the whole machine.
[[nodiscard]] Result<InstalledCollector> install_machine_collector(const WatchOptions& options,
                                                                   const MachineObject& found);

}  // namespace trapline::command
