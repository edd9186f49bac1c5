#include "ports/linux/bpf/bpf_records.h"

#include <algorithm>
#include <cstring>

#include "ports/linux/bpf/bpf_registers.h"

namespace trapline::linux_port {
namespace {

constexpr std::size_t kHitHead = offsetof(trapline_hit_record, user_chain);

std::optional<std::uint32_t> kind_of(std::span<const std::byte> record) {
  std::uint32_t kind = 0;
  if (record.size() < sizeof kind) return std::nullopt;
  std::memcpy(&kind, record.data(), sizeof kind);
  return kind;
}

std::optional<BpfTaskEvent> task_event(std::uint32_t kind) {
  switch (kind) {
    case TRAPLINE_FORK:
      return BpfTaskEvent::fork;
    case TRAPLINE_EXIT:
      return BpfTaskEvent::exit;
    case TRAPLINE_EXEC:
      return BpfTaskEvent::exec;
    case TRAPLINE_CODE_MAP:
      return BpfTaskEvent::code_map;
    default:
      return std::nullopt;
  }
}

ProcessId process(std::uint32_t pid) {
  return ProcessId{static_cast<std::int32_t>(pid)};
}
ThreadId thread(std::uint32_t tid) {
  return ThreadId{static_cast<std::int32_t>(tid)};
}

// Frames that the record says it has and is long enough for.
bool read_chain(std::span<const std::byte> record, std::size_t offset, std::uint32_t frames,
                std::vector<RemoteAddress>& chain) {
  chain.clear();
  if (frames == 0) return true;
  if (frames > TRAPLINE_MAX_FRAMES || record.size() < offset + frames * sizeof(std::uint64_t))
    return false;
  for (std::uint32_t frame = 0; frame < frames; ++frame) {
    std::uint64_t address = 0;
    std::memcpy(&address, record.data() + offset + frame * sizeof address, sizeof address);
    chain.emplace_back(address);
  }
  return true;
}

MemoryValue value(std::uint64_t bits, bool is_known) {
  return is_known ? MemoryValue{bits, Certainty::exact} : MemoryValue{};
}

}  // namespace

std::optional<Nanoseconds> time_of_bpf_record(std::span<const std::byte> record) {
  constexpr std::size_t kPlace = offsetof(trapline_hit_record, time);
  static_assert(kPlace == offsetof(trapline_task_record, time));
  std::uint64_t time = 0;
  if (record.size() < kPlace + sizeof time) return std::nullopt;
  std::memcpy(&time, record.data() + kPlace, sizeof time);
  return Nanoseconds{time};
}

std::optional<BpfTask> decode_bpf_task(std::span<const std::byte> record) {
  const auto kind = kind_of(record);
  if (!kind || record.size() < sizeof(trapline_task_record)) return std::nullopt;
  const auto event = task_event(*kind);
  if (!event) return std::nullopt;
  trapline_task_record raw{};
  std::memcpy(&raw, record.data(), sizeof raw);
  return BpfTask{.event = *event,
                 .task = {.pid = process(raw.pid),
                          .parent_pid = process(raw.parent_pid),
                          .tid = thread(raw.tid),
                          .parent_tid = thread(raw.parent_tid),
                          .time = Nanoseconds{raw.time}},
                 .watched_slots = raw.watched_slots,
                 .ends_process = raw.ends_process != 0};
}

bool decode_bpf_hit(std::span<const std::byte> record, BpfHit& hit) {
  if (kind_of(record) != TRAPLINE_HIT || record.size() < kHitHead) return false;
  trapline_hit_record raw;
  std::memcpy(&raw, record.data(), kHitHead);
  PerfSample& sample = hit.sample;
  const bool in_kernel = (raw.flags & TRAPLINE_IN_KERNEL) != 0;
  sample.ip = RemoteAddress(raw.ip);
  sample.pid = process(raw.pid);
  sample.tid = thread(raw.tid);
  sample.time = Nanoseconds{raw.time};
  sample.address = RemoteAddress(raw.address);
  sample.cpu = CpuId{raw.cpu};
  sample.in_kernel = in_kernel;
  const bool has_user = (raw.flags & TRAPLINE_HAS_USER) != 0;
  sample.registers = has_user ? registers_from_bpf(raw.registers) : UserRegisters{};
  if (!read_chain(record, kHitHead, raw.user_frames, sample.user_chain) ||
      !read_chain(record, offsetof(trapline_hit_record, kernel_chain), raw.kernel_frames,
                  sample.kernel_chain))
    return false;
  sample.stack = {};
  if ((raw.flags & TRAPLINE_STACK_TOP_KNOWN) != 0) {
    std::memcpy(hit.stack_top.data(), &raw.stack_top, hit.stack_top.size());
    sample.stack = hit.stack_top;
  }
  std::copy_n(raw.comm, hit.comm.size(), hit.comm.begin());
  hit.old_value = value(raw.old_value, (raw.flags & TRAPLINE_OLD_KNOWN) != 0);
  hit.new_value = value(raw.new_value, (raw.flags & TRAPLINE_NEW_KNOWN) != 0);
  hit.opens_tally =
      (raw.flags & TRAPLINE_OPENS_TALLY) != 0 ? std::optional(raw.tally) : std::nullopt;
  hit.is_first = (raw.flags & TRAPLINE_FIRST) != 0;
  return true;
}

}  // namespace trapline::linux_port
