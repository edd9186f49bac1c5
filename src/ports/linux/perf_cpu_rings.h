// The rings of a watch, one per CPU, into which events of any thread or CPU-wide events write.
//
// Each belongs to an event of the calling thread that never fires, so a ring stays while the events
// that fill it come and go, and can be made for a CPU that is offline. One thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/failure.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_ring.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfCpuRings {
 public:
  // Watermark wakeups. `ring_bytes` is per CPU; less where all CPUs together would get too much,
  // and where the system does not allow it. Errors: permission_denied or not_supported if perf is
  // closed to this user altogether; limit_reached.
  [[nodiscard]] static Result<PerfCpuRings> create(const CpuSet& cpus, ByteCount ring_bytes);

  [[nodiscard]] std::span<const CpuId> cpus() const { return cpus_; }
  [[nodiscard]] std::span<PerfRing> rings() { return rings_; }
  // Where the events of cpus()[index] are redirected to.
  [[nodiscard]] const PerfEvent& owner(std::size_t index) const { return owners_[index]; }
  // The index of a CPU; nullopt if it has no ring.
  [[nodiscard]] std::optional<std::size_t> index_of(CpuId cpu) const;
  // To poll for input: one per ring.
  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  std::vector<CpuId> cpus_;  // ascending
  std::vector<PerfEvent> owners_;
  std::vector<PerfRing> rings_;
};

}  // namespace trapline::linux_port
