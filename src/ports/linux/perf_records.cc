#include "ports/linux/perf_records.h"

#include <linux/perf_event.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace trapline::linux_port {
namespace {

constexpr std::uint64_t kDecodable = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                                     PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU |
                                     PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER |
                                     PERF_SAMPLE_STACK_USER;

constexpr std::unexpected<Error> kMalformed(Error{ErrorCode::bad_syntax});

// Entries of a callchain at or above this are marks, not addresses.
constexpr auto kFirstMark = static_cast<std::uint64_t>(PERF_CONTEXT_MAX);

// Takes values off the front; stays short once it has run out, so that one check at the end will
// do.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::span<const std::byte> take_bytes(std::uint64_t count) {
    if (count > rest_.size()) {
      short_ = true;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(static_cast<std::size_t>(count));
    return taken;
  }
  [[nodiscard]] std::span<const std::byte> rest() const { return rest_; }
  [[nodiscard]] bool ran_out() const { return short_; }

 private:
  std::span<const std::byte> rest_;
  bool short_ = false;
};

struct Opened {
  perf_event_header header;
  ByteReader body;
};

// The record's header and a reader of what follows it, if it is of this type and whole.
std::optional<Opened> open_record(std::span<const std::byte> record, std::uint32_t type) {
  if (!read_header(record)) return std::nullopt;
  ByteReader reader(record);
  const auto header = reader.take<perf_event_header>();
  if (header.type != type) return std::nullopt;
  return Opened{header, ByteReader(record.subspan(sizeof header, header.size - sizeof header))};
}

RecordKind kind_of(std::uint32_t type) {
  switch (type) {
    case PERF_RECORD_SAMPLE:
      return RecordKind::sample;
    case PERF_RECORD_FORK:
      return RecordKind::fork;
    case PERF_RECORD_EXIT:
      return RecordKind::exit;
    case PERF_RECORD_COMM:
      return RecordKind::comm;
    case PERF_RECORD_MMAP:
      return RecordKind::map;
    case PERF_RECORD_LOST:
      return RecordKind::lost;
    default:
      return RecordKind::other;
  }
}

void take_callchain(ByteReader& reader, PerfSample& sample) {
  const auto count = reader.take<std::uint64_t>();
  if (count > reader.rest().size() / sizeof(std::uint64_t)) {
    reader.take_bytes(reader.rest().size() + 1);
    return;
  }
  std::vector<RemoteAddress>* chain = nullptr;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto entry = reader.take<std::uint64_t>();
    if (entry < kFirstMark) {
      if (chain != nullptr) chain->push_back(RemoteAddress(entry));
    } else if (entry == static_cast<std::uint64_t>(PERF_CONTEXT_KERNEL)) {
      chain = &sample.kernel_chain;
    } else if (entry == static_cast<std::uint64_t>(PERF_CONTEXT_USER)) {
      chain = &sample.user_chain;
    } else {
      chain = nullptr;  // a hypervisor's or a guest's frames: nobody here can name them
    }
  }
}

void take_registers(ByteReader& reader, std::uint64_t mask, UserRegisters& registers) {
  const auto abi = reader.take<std::uint64_t>();
  if (abi == PERF_SAMPLE_REGS_ABI_NONE) return;
  for (; mask != 0; mask &= mask - 1) {
    const auto number = static_cast<std::size_t>(std::countr_zero(mask));
    const auto value = reader.take<std::uint64_t>();
    if (number < UserRegisters::kCapacity) registers.set(number, value);
  }
}

std::span<const std::byte> take_stack(ByteReader& reader) {
  const auto room = reader.take<std::uint64_t>();
  if (room == 0) return {};
  const auto bytes = reader.take_bytes(room);
  const auto filled = reader.take<std::uint64_t>();
  return bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(filled, bytes.size())));
}

std::size_t bytes_before_time(std::uint64_t sample_type) {
  return std::size_t{8} *
         static_cast<unsigned>(std::popcount(
             sample_type & (PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID)));
}

// struct sample_id, at the end of every record that is not a sample, holds 8 bytes for each of
// these, in this order: TID TIME ID STREAM_ID CPU IDENTIFIER. What stands from TIME to the end:
std::size_t trailer_from_time(std::uint64_t sample_type) {
  return std::size_t{8} *
         static_cast<unsigned>(std::popcount(
             sample_type & (PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER)));
}

}  // namespace

bool is_decodable(const SampleLayout& layout) {
  return (layout.sample_type & ~kDecodable) == 0;
}

std::optional<RecordHeader> read_header(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto header = reader.take<perf_event_header>();
  if (reader.ran_out() || header.size < sizeof header || header.size % 8 != 0 ||
      header.size > bytes.size())
    return std::nullopt;
  return RecordHeader{kind_of(header.type), header.size};
}

std::expected<void, Error> decode_sample(std::span<const std::byte> record,
                                         const SampleLayout& layout, PerfSample& sample) {
  const std::uint64_t type = layout.sample_type;
  auto opened = open_record(record, PERF_RECORD_SAMPLE);
  if (!opened || !is_decodable(layout)) return kMalformed;
  ByteReader& reader = opened->body;

  sample.kernel_chain.clear();
  sample.user_chain.clear();
  sample.registers = {};
  sample.stack = {};
  sample.in_kernel =
      (opened->header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL;
  if ((type & PERF_SAMPLE_IDENTIFIER) != 0) sample.id = reader.take<std::uint64_t>();
  if ((type & PERF_SAMPLE_IP) != 0) sample.ip = RemoteAddress(reader.take<std::uint64_t>());
  if ((type & PERF_SAMPLE_TID) != 0) {
    sample.pid = ProcessId{reader.take<std::int32_t>()};
    sample.tid = ThreadId{reader.take<std::int32_t>()};
  }
  if ((type & PERF_SAMPLE_TIME) != 0) sample.time = Nanoseconds{reader.take<std::uint64_t>()};
  if ((type & PERF_SAMPLE_ADDR) != 0) sample.address = RemoteAddress(reader.take<std::uint64_t>());
  if ((type & PERF_SAMPLE_CPU) != 0) {
    sample.cpu = CpuId{reader.take<std::uint32_t>()};
    reader.take<std::uint32_t>();
  }
  if ((type & PERF_SAMPLE_CALLCHAIN) != 0) take_callchain(reader, sample);
  if ((type & PERF_SAMPLE_REGS_USER) != 0)
    take_registers(reader, layout.register_mask, sample.registers);
  if ((type & PERF_SAMPLE_STACK_USER) != 0) sample.stack = take_stack(reader);
  if (reader.ran_out()) return kMalformed;
  return {};
}

std::expected<TaskRecord, Error> decode_task(std::span<const std::byte> record) {
  auto opened = open_record(record, PERF_RECORD_FORK);
  if (!opened) opened = open_record(record, PERF_RECORD_EXIT);
  if (!opened) return kMalformed;
  ByteReader& reader = opened->body;
  TaskRecord task;
  task.pid = ProcessId{reader.take<std::int32_t>()};
  task.parent_pid = ProcessId{reader.take<std::int32_t>()};
  task.tid = ThreadId{reader.take<std::int32_t>()};
  task.parent_tid = ThreadId{reader.take<std::int32_t>()};
  task.time = Nanoseconds{reader.take<std::uint64_t>()};
  if (reader.ran_out()) return kMalformed;
  return task;
}

std::expected<CommRecord, Error> decode_comm(std::span<const std::byte> record) {
  auto opened = open_record(record, PERF_RECORD_COMM);
  if (!opened) return kMalformed;
  ByteReader& reader = opened->body;
  CommRecord comm;
  comm.is_exec = (opened->header.misc & PERF_RECORD_MISC_COMM_EXEC) != 0;
  comm.pid = ProcessId{reader.take<std::int32_t>()};
  comm.tid = ThreadId{reader.take<std::int32_t>()};
  if (reader.ran_out()) return kMalformed;
  // The name ends at its NUL; what follows is padding and the trailer.
  const auto text = reader.rest();
  const auto end = std::find(text.begin(), text.end(), std::byte{0});
  if (end == text.end()) return kMalformed;
  const auto length = std::min(static_cast<std::size_t>(end - text.begin()), comm.name.size() - 1);
  if (length != 0) std::memcpy(comm.name.data(), text.data(), length);
  return comm;
}

std::expected<MapRecord, Error> decode_map(std::span<const std::byte> record) {
  auto opened = open_record(record, PERF_RECORD_MMAP);
  if (!opened) return kMalformed;
  ByteReader& reader = opened->body;
  MapRecord map;
  map.pid = ProcessId{reader.take<std::int32_t>()};
  map.tid = ThreadId{reader.take<std::int32_t>()};
  map.start = RemoteAddress(reader.take<std::uint64_t>());
  map.length = ByteCount{reader.take<std::uint64_t>()};
  if (reader.ran_out()) return kMalformed;
  return map;
}

std::optional<SampleOrigin> origin_of(std::span<const std::byte> record,
                                      const SampleLayout& layout) {
  constexpr std::uint64_t kNeeded = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID;
  auto opened = open_record(record, PERF_RECORD_SAMPLE);
  if (!opened || (layout.sample_type & kNeeded) != kNeeded) return std::nullopt;
  ByteReader& reader = opened->body;
  SampleOrigin origin;
  origin.id = reader.take<std::uint64_t>();
  if ((layout.sample_type & PERF_SAMPLE_IP) != 0) reader.take<std::uint64_t>();
  reader.take<std::int32_t>();
  origin.tid = ThreadId{reader.take<std::int32_t>()};
  if (reader.ran_out()) return std::nullopt;
  return origin;
}

std::optional<Nanoseconds> time_of(std::span<const std::byte> record, const SampleLayout& layout) {
  const auto header = read_header(record);
  if (!header || (layout.sample_type & PERF_SAMPLE_TIME) == 0) return std::nullopt;
  const auto body =
      record.subspan(sizeof(perf_event_header), header->size - sizeof(perf_event_header));
  std::size_t at = bytes_before_time(layout.sample_type);
  if (header->kind != RecordKind::sample) {
    const std::size_t from_end = trailer_from_time(layout.sample_type);
    if (body.size() < from_end) return std::nullopt;
    at = body.size() - from_end;
  }
  if (body.size() < at + sizeof(std::uint64_t)) return std::nullopt;
  ByteReader reader(body.subspan(at));
  return Nanoseconds{reader.take<std::uint64_t>()};
}

}  // namespace trapline::linux_port
