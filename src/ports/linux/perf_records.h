// The records of a perf ring, from bytes to values.
//
// Pure: any bytes go in, and a record that does not hold what its type promises is bad_syntax. No
// allocation beyond the vectors of a PerfSample that is reused. Any context that may allocate.
//
// Sources: perf_event_open(2), "MMAP layout"; include/uapi/linux/perf_event.h, enum
// perf_event_type.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/user_registers.h"

namespace trapline::linux_port {

// What the events that write into the ring were asked to record: perf_event_attr.sample_type and
// sample_regs_user. sample_id_all is taken for granted.
struct SampleLayout {
  std::uint64_t sample_type = 0;
  std::uint64_t register_mask = 0;
};

// PERF_SAMPLE_* that decode_sample understands; a layout with any other bit cannot be decoded.
[[nodiscard]] bool is_decodable(const SampleLayout& layout);

enum class RecordKind : std::uint8_t { sample, fork, exit, comm, map, lost, other };

struct RecordHeader {
  RecordKind kind = RecordKind::other;
  std::uint16_t size = 0;  // of the whole record, this header included
};

// The header at the start of `bytes`; nullopt if there is no room for one or its size makes no
// sense (less than a header, not a multiple of 8, more than `bytes`).
[[nodiscard]] std::optional<RecordHeader> read_header(std::span<const std::byte> bytes);

struct PerfSample {
  std::uint64_t id = 0;  // of the event the user opened, also where a child inherited it
  RemoteAddress ip;
  ProcessId pid;
  ThreadId tid;
  Nanoseconds time;
  RemoteAddress address;
  CpuId cpu;
  bool in_kernel = false;
  std::vector<RemoteAddress> kernel_chain;  // innermost first, ip included
  std::vector<RemoteAddress> user_chain;    // innermost first, ip included
  UserRegisters registers;
  std::span<const std::byte> stack;  // borrowed from the record
};

// Replaces the content of `sample`. On error its content is unspecified.
[[nodiscard]] std::expected<void, Error> decode_sample(std::span<const std::byte> record,
                                                       const SampleLayout& layout,
                                                       PerfSample& sample);

// A thread that began (fork) or ended (exit).
struct TaskRecord {
  ProcessId pid;
  ProcessId parent_pid;
  ThreadId tid;
  ThreadId parent_tid;
  Nanoseconds time;
};
[[nodiscard]] std::expected<TaskRecord, Error> decode_task(std::span<const std::byte> record);

struct CommRecord {
  ProcessId pid;
  ThreadId tid;
  bool is_exec = false;
  std::array<char, 16> name{};
};
[[nodiscard]] std::expected<CommRecord, Error> decode_comm(std::span<const std::byte> record);

struct MapRecord {
  ProcessId pid;
  ThreadId tid;
  RemoteAddress start;
  ByteCount length;
};
[[nodiscard]] std::expected<MapRecord, Error> decode_map(std::span<const std::byte> record);

// Who made a sample, without decoding the rest of it.
struct SampleOrigin {
  std::uint64_t id = 0;
  ThreadId tid;
};
[[nodiscard]] std::optional<SampleOrigin> origin_of(std::span<const std::byte> record,
                                                    const SampleLayout& layout);

// When the record was made, for any kind; nullopt if it does not say.
[[nodiscard]] std::optional<Nanoseconds> time_of(std::span<const std::byte> record,
                                                 const SampleLayout& layout);

}  // namespace trapline::linux_port
