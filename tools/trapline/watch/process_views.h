// The view that explains a hit: of the process that is watched, or of whichever process made it.
//
// One thread. Making a view at a process's first hit reads its mappings and opens its files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

#include "ports/linux/collector.h"
#include "symbols/process_image.h"
#include "tools/trapline/watch/process_view.h"
#include "tools/trapline/watch/value_tracker.h"
#include "trapline/base/units.h"
#include "trapline/port/memory_reader.h"
#include "trapline/watch/request.h"

namespace trapline::command {

class ProcessViews {
 public:
  // How many processes' views are kept. Each holds some five open files and what was read of its
  // symbols: 0.4 MB in 5 ms for a small program, 14 MB in 100 ms where the C library's debug
  // information is installed and a stack leads through it.
  static constexpr std::size_t kMaxViews = 64;

  // One view for all hits: those of its process, and of the children, which run the same program.
  explicit ProcessViews(std::unique_ptr<symbols::ProcessImage> image);
  // A view for each process; of more than `limit` the one used longest ago is dropped.
  // `kernel_memory`: what is watched lies in the kernel's memory, so that its values are the same
  // for all processes, and this reads it (borrowed); nullptr: in each process's own.
  explicit ProcessViews(MemoryReader* kernel_memory, std::size_t limit = kMaxViews);
  ProcessViews(const ProcessViews&) = delete;
  ProcessViews& operator=(const ProcessViews&) = delete;

  // The view that explains a hit, up to date. Valid until the next call of any function here.
  [[nodiscard]] ProcessView& of(const linux_port::Sample& sample);
  [[nodiscard]] ProcessView& of(ProcessId pid);
  // The values of a hit that this view explains.
  [[nodiscard]] ValueTracker& values_of(ProcessView& view) {
    return kernel_values_ ? *kernel_values_ : view.values();
  }

  // Before the first hit: what the values are of. Reads those that the bytes hold now, where there
  // is one memory to be read; `target_is_stopped` as in ValueTracker::read_initial.
  void read_initial(const Request& watch, std::span<const SlotRequest> slots,
                    bool target_is_stopped);
  // Whether every write is a hit: of all values. False until told.
  void set_sees_all_writers(bool sees_all);

  // Makes stale, keeps or drops what the event is about.
  void on_event(const linux_port::TargetEvent& event);
  // Writes may have been missed: the values are not known any more.
  void forget_values();
  // As well, and events: views of single processes are used again only if their process still runs
  // what it did, and code that they do not know is looked for at its first hit.
  void on_lost();

 private:
  struct Entry {
    std::unique_ptr<ProcessView> view;
    bool is_doubtful = false;
  };
  using Entries = std::list<Entry>;

  [[nodiscard]] ProcessView& by_process(ProcessId pid);
  [[nodiscard]] ProcessView& make(ProcessId pid);
  void drop(ProcessId pid);
  void on_event_of_single(const linux_port::TargetEvent& event, ProcessView& view);
  template <typename Visit>  // void(ValueTracker&)
  void for_each_values(Visit visit);

  std::uint64_t next_number_ = 1;
  std::unique_ptr<ProcessView> single_;  // else entries_
  // Of hits in which no process's own code or memory has a part: the kernel's threads are many, and
  // would take the room of the processes.
  ProcessView nobody_{ProcessId{}, nullptr, 0};
  std::size_t limit_ = 0;
  Entries entries_;  // the last used first
  std::unordered_map<std::int32_t, Entries::iterator> by_pid_;
  std::optional<ValueTracker> kernel_values_;
  // For views made later.
  Request watch_;
  bool sees_all_writers_ = false;
};

}  // namespace trapline::command
