// What the BPF programs write, from bytes to values. Pure: any bytes go in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "ports/linux/bpf/watch_record.h"
#include "ports/linux/perf_records.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"

namespace trapline::linux_port {

struct BpfHit {
  PerfSample sample;
  std::array<char, 16> comm{};
  MemoryValue old_value;
  MemoryValue new_value;
  std::optional<trapline_tally_key> opens_tally;  // of hits like it
  bool is_first = false;                          // on these bytes, since the watch began
  // Where sample.stack points to, if it has anything.
  std::array<std::byte, 8> stack_top{};
};

enum class BpfTaskEvent : std::uint8_t { fork, exit, exec, code_map };
struct BpfTask {
  BpfTaskEvent event{};
  TaskRecord task;
  std::uint32_t watched_slots = 0;  // fork: bits, of those that the child has inherited
  bool ends_process = false;        // exit: no other thread is left
};

// When the record was made; nullopt if it is too short to say.
[[nodiscard]] std::optional<Nanoseconds> time_of_bpf_record(std::span<const std::byte> record);
// nullopt: it is a record about something else, or less than its kind promises.
[[nodiscard]] std::optional<BpfTask> decode_bpf_task(std::span<const std::byte> record);
// Replaces `hit`, which keeps its memory from call to call; false: as above.
[[nodiscard]] bool decode_bpf_hit(std::span<const std::byte> record, BpfHit& hit);

}  // namespace trapline::linux_port
