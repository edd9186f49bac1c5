#include "ports/linux/capability_probe.h"

#include <cerrno>
#include <cstdint>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

// More than any architecture has of one kind.
constexpr std::size_t kManySlots = 32;

// What the probes watch: never written, and the events stay disabled.
alignas(64) std::byte probe_memory[64];

std::expected<PerfEvent, int> try_slot(ByteCount offset, ByteCount length, Access access) {
  return try_self_watch({RemoteAddress::of_local(probe_memory) + offset, length, access});
}

// An execute breakpoint's length is fixed by the architecture.
ByteCount length_for(Access access) {
  return access == Access::execute ? native_debug_architecture().code_length : ByteCount{1};
}

std::vector<PerfEvent> take_all(Access access) {
  std::vector<PerfEvent> taken;
  while (taken.size() < kManySlots) {
    auto event =
        try_slot(ByteCount{taken.size() % sizeof probe_memory / 8 * 8}, length_for(access), access);
    if (!event) break;
    taken.push_back(std::move(*event));
  }
  return taken;
}

}  // namespace

Result<ProbedCapabilities> probe_capabilities() {
  if (const auto first = try_slot(ByteCount{0}, ByteCount{1}, Access::write); !first) {
    const int error = first.error();
    if (error == EACCES || error == EPERM) {
      return fail(ErrorCode::permission_denied, "perf events are forbidden to this user", error);
    }
    // Taken slots are an answer, not a failure; the kinds and lengths cannot be told then.
    if (error == ENOSPC) return ProbedCapabilities{};
    return fail(ErrorCode::not_supported, "this kernel or CPU has no hardware breakpoints", error);
  }
  ProbedCapabilities found;
  for (const Access access : {Access::read, Access::write, Access::read_write, Access::execute}) {
    if (try_slot(ByteCount{0}, length_for(access), access)) found.accesses.push_back(access);
  }
  for (std::uint64_t length = 1; length <= 8; ++length) {
    if (try_slot(ByteCount{0}, ByteCount{length}, Access::write))
      found.lengths.push_back(ByteCount{length});
  }
  found.unaligned = try_slot(ByteCount{1}, ByteCount{4}, Access::write).has_value();
  found.free_code_slots = take_all(Access::execute).size();
  const std::vector<PerfEvent> data = take_all(Access::write);
  found.free_data_slots = data.size();
  found.slots_are_shared = take_all(Access::execute).size() < found.free_code_slots;
  return found;
}

}  // namespace trapline::linux_port
