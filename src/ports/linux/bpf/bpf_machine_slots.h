// The slots of a watch of the whole machine as the BPF programs have them: which entries belong to
// which plan, and whether what a hit left there is what the next one finds. Pure; its owner sees to
// it that one thread uses it at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ports/linux/bpf/watch_record.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

class BpfMachineSlots {
 public:
  // False: there is no room. The machine has debug registers for fewer slots than there are
  // entries, so that the kernel refuses its events before.
  [[nodiscard]] bool add(const Plan& plan);
  // Of plans that are equal, all are gone.
  void remove(const Plan& plan);

  // Somebody may have written without a hit up to now. `all_are_watched`: from now on nobody can.
  void forget_values(bool all_are_watched);

  [[nodiscard]] std::span<const trapline_slot> entries() const { return entries_; }

 private:
  [[nodiscard]] std::uint32_t next_epoch();

  std::array<trapline_slot, TRAPLINE_MAX_SLOTS> entries_{};
  bool all_are_watched_ = true;
  std::uint32_t last_epoch_ = 0;
};

}  // namespace trapline::linux_port
