#include "ports/linux/perf_cpu_births.h"

#include <linux/perf_event.h>

#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ports/linux/perf_records.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/whole_number.h"

namespace trapline::linux_port {
namespace {

constexpr ByteCount kRingBytes{8192};  // 18 times offline and online again
constexpr std::string_view kThreadPrefix = "cpuhp/";

perf_event_attr switch_attributes() {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.context_switch = 1;
  attributes.sample_id_all = 1;
  attributes.sample_type = PERF_SAMPLE_TIME;
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC;
  return attributes;
}

std::optional<CpuId> cpu_of(std::string_view name) {
  if (!name.starts_with(kThreadPrefix)) return std::nullopt;
  name.remove_prefix(kThreadPrefix.size());
  const auto cpu = parse_whole<std::uint32_t>(name);
  return cpu ? std::optional(CpuId{*cpu}) : std::nullopt;
}

// The thread begins to run, as opposed to stopping.
bool is_switch_in(std::span<const std::byte> record) {
  perf_event_header header{};
  if (record.size() < sizeof header) return false;
  std::memcpy(&header, record.data(), sizeof header);
  return header.type == PERF_RECORD_SWITCH && (header.misc & PERF_RECORD_MISC_SWITCH_OUT) == 0;
}

}  // namespace

PerfCpuBirths::PerfCpuBirths(const CpuSet& cpus) {
  // A thread of the kernel has no executable.
  for (const ProcessId pid : list_processes()) {
    const auto cpu = cpu_of(thread_name(pid, ThreadId{pid.value}));
    if (cpu && cpus.contains(*cpu) && executable_path(pid).empty())
      follow(*cpu, ThreadId{pid.value});
  }
}

void PerfCpuBirths::follow(CpuId cpu, ThreadId thread) {
  auto event = PerfEvent::open(switch_attributes(), thread, cpu);
  if (!event) return;
  auto ring = PerfRing::map(event->descriptor(), kRingBytes);
  if (!ring) return;
  followers_.emplace(cpu, Follower{*std::move(event), *std::move(ring)});
}

std::optional<Nanoseconds> PerfCpuBirths::first_after(CpuId cpu, Nanoseconds not_online_yet) {
  const auto found = followers_.find(cpu);
  if (found == followers_.end()) return std::nullopt;
  PerfRingReader& reader = found->second.ring.reader();
  const SampleLayout layout = layout_of(switch_attributes());
  const std::uint64_t head = reader.head();
  std::optional<Nanoseconds> first;
  std::vector<std::byte> copy;
  std::uint64_t position = reader.tail();
  // A ring that was full holds what came first.
  while (position < head && !first) {
    const auto record = reader.record_at(position, head, copy);
    if (!record) break;
    const auto time = time_of(*record, layout);
    if (time && is_switch_in(*record) && *time > not_online_yet) first = time;
    position += record->size();
  }
  reader.release(head);
  return first;
}

}  // namespace trapline::linux_port
