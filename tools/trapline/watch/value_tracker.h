// What the watched bytes were before and after each hit.
//
// The new value is what the culprit instruction and its registers tell; where that depends on the
// old value, or is not told, it is what the collector read at the trap if that is exact; else it is
// computed from the old value, or what the collector saw; else, for the newest hit only, what
// memory holds now (approximate). The old value is what the collector saw, else the new value of
// the hit before, and no more than approximate where somebody may write without a hit. A hole in
// the sequence (a lost hit, a hit that was not delivered, a hit whose result is unknown, an old
// value that the new one disproves) makes the next old value unknown rather than wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "decode/culprit.h"
#include "ports/linux/collector.h"
#include "trapline/port/memory_reader.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/request.h"

namespace trapline::command {

class ValueTracker {
 public:
  // `memory` reads the process `pid`; nullopt: it is memory that all processes share, the kernel's.
  // `finder`: nullptr where no instruction is decoded. Both borrowed.
  ValueTracker(std::optional<ProcessId> pid, MemoryReader& memory,
               const decode::CulpritFinder* finder);

  // From now on about `watch`. Nothing is known of its bytes before the first hit.
  void set_watch(const Request& watch) { watch_ = watch; }
  // As well, and reads what its bytes hold before the first hit; `target_is_stopped`: nobody can
  // write meanwhile.
  void read_initial(const Request& watch, std::span<const SlotRequest> slots,
                    bool target_is_stopped);

  // Whether every write to the watched bytes is a hit, so that what the last hit left is what the
  // next one finds. False until told.
  void set_sees_all_writers(bool sees_all) { sees_all_writers_ = sees_all; }

  // Fills old_value and new_value of `hit`. `newest`: no later hit has been delivered yet, so
  // memory still holds its result.
  void update(Hit& hit, const decode::Culprit* culprit, const UserRegisters& registers,
              bool newest);
  // The same in a process in which the watched bytes begin at `start`, and held `initial` when it
  // began to be watched, if that is known.
  void update_at(RemoteAddress start, MemoryValue initial, Hit& hit, const decode::Culprit* culprit,
                 const UserRegisters& registers, bool newest);

  // Hits on the bytes of `hit` were not delivered before it: what the last one left is not known.
  void forget_before(const Hit& hit, RemoteAddress start);
  // Hits were lost: nothing that was known holds any more.
  void forget() { shadow_.clear(); }

 private:
  struct Range {
    RemoteAddress address;
    ByteCount length;
  };
  // Values are of the whole watch where it fits a word, else of the slot that fired.
  [[nodiscard]] Range value_range(const Hit& hit, RemoteAddress start) const;
  // What the hit found, as far as the hits before it tell.
  [[nodiscard]] MemoryValue value_before(const Hit& hit, const Range& range) const;
  // What a hit before left is what this one finds only where every writer is seen.
  [[nodiscard]] MemoryValue as_certain_as_hits(MemoryValue before) const;
  // Takes `before` away if what the hit left proves it wrong.
  [[nodiscard]] MemoryValue value_after(const Hit& hit, const Range& range, MemoryValue& before,
                                        const decode::Culprit* culprit,
                                        const UserRegisters& registers, bool newest);
  // Whose bytes in shadow_ a hit is about. nullopt: the system did not tell which process it was.
  [[nodiscard]] std::optional<std::int32_t> owner_of(const Hit& hit) const;
  [[nodiscard]] bool is_of_memory_read(const Hit& hit) const { return !pid_ || hit.pid == *pid_; }
  [[nodiscard]] MemoryValue read_now(const Range& range, Certainty certainty);

  Request watch_;
  std::optional<ProcessId> pid_;
  MemoryReader& memory_;
  const decode::CulpritFinder* finder_;
  bool sees_all_writers_ = false;
  // By owner (a forked child has memory of its own) and first byte. Bounded: see update().
  std::map<std::pair<std::int32_t, std::uint64_t>, MemoryValue> shadow_;
};

}  // namespace trapline::command
