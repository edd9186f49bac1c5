// The BPF programs of a watch, loaded: what user space hands to them and reads from them.
//
// One thread. The programs and all they hold are gone when this is.
//
// Sources: bpf(2); libbpf's libbpf.h; kernel/events/core.c, perf_event_set_bpf_handler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/failure.h"
#include "ports/linux/bpf/bpf_tallies.h"
#include "ports/linux/bpf/watch_record.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// Whether programs on breakpoints are known to do no harm on this architecture. Error:
// not_supported.
[[nodiscard]] Result<void> programs_on_breakpoints_are_safe();

class BpfWatchPrograms {
 public:
  // Of hits alone, or also of what becomes of the target's tasks.
  enum class Told : std::uint8_t { hits, hits_and_tasks };
  // Loads the programs and sets those that tell of tasks; nothing can hit yet. `ring_bytes`: a
  // power of two of pages. Errors: permission_denied; not_supported, with the kernel's reason;
  // limit_reached.
  [[nodiscard]] static Result<BpfWatchPrograms> load(const trapline_watch_config& config,
                                                     ByteCount ring_bytes, Told told);
  BpfWatchPrograms(BpfWatchPrograms&& other) noexcept;
  BpfWatchPrograms& operator=(BpfWatchPrograms&& other) noexcept;
  ~BpfWatchPrograms();

  // As it was loaded.
  [[nodiscard]] const trapline_watch_config& config() const;
  // For the events of a thread.
  [[nodiscard]] int hit_program() const;
  // The threads of all processes that are followed, without those that are ending. With
  // Told::hits_and_tasks, but for the whole machine. Errors: os_failure.
  [[nodiscard]] Result<std::vector<trapline_thread_record>> list_threads() const;
  // With config.whole_machine: what is watched from now on. For the events of a slot that comes or
  // goes there is no program meanwhile. Also from other threads, one at a time.
  void set_machine_slots(std::span<const trapline_slot> slots) const;
  // Whether newly mapped code is told of.
  [[nodiscard]] bool tells_code_maps() const;

  // Readable when there is much to read.
  [[nodiscard]] int descriptor() const;
  // Calls visit(record) for what is in the ring, oldest first, until it returns false. Records are
  // borrowed. Returns false if visit stopped it.
  bool read(const std::function<bool(std::span<const std::byte>)>& visit);

  // With config.tallies_hits. Errors: os_failure.
  [[nodiscard]] Result<std::vector<BpfTally>> tallies() const;
  // Of threads that have ended.
  void remove_tallies(std::span<const trapline_tally_key> keys) const;

  struct Counters {
    std::uint64_t lost_hits = 0;   // they happened, and no record of them is in the ring
    std::uint64_t lost_tasks = 0;  // the same, of what happened to tasks
  };
  [[nodiscard]] Counters counters() const;
  struct HitCounts {
    std::uint64_t runs = 0;      // of the program of hits
    std::uint64_t rejected = 0;  // hits that failed one of the configuration's conditions
  };
  // nullopt if they cannot be read.
  [[nodiscard]] std::optional<HitCounts> hit_counts() const;

 private:
  struct Loaded;
  explicit BpfWatchPrograms(std::unique_ptr<Loaded> loaded);

  std::unique_ptr<Loaded> loaded_;
};

}  // namespace trapline::linux_port
