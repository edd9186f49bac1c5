// deps: trapline_linux
//
// Any bytes as records of a perf ring: decoders must stay inside them, whatever they claim. The
// first bytes choose what the events asked for.
#include <linux/perf_event.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "ports/linux/perf_records.h"
#include "ports/linux/perf_ring.h"
#include "ports/linux/perf_ring_set.h"

namespace {

using namespace trapline;
using namespace trapline::linux_port;

constexpr std::size_t kRingBytes = 4096;

// A sample that decodes must not hold more than its record could.
void decode_each_way(std::span<const std::byte> record, const SampleLayout& layout) {
  PerfSample sample;
  if (decode_sample(record, layout, sample)) {
    const std::size_t words = record.size() / sizeof(std::uint64_t);
    if (sample.user_chain.size() + sample.kernel_chain.size() > words) std::abort();
    if (!sample.stack.empty() &&
        (sample.stack.data() < record.data() ||
         sample.stack.data() + sample.stack.size() > record.data() + record.size()))
      std::abort();
  }
  static_cast<void>(decode_task(record));
  static_cast<void>(decode_comm(record));
  static_cast<void>(decode_map(record));
  static_cast<void>(origin_of(record, layout));
  static_cast<void>(time_of(record, layout));
}

void read_as_ring(std::span<const std::byte> bytes, const SampleLayout& layout) {
  std::vector<std::byte> data(kRingBytes);
  const std::size_t count = std::min(bytes.size(), data.size()) & ~std::size_t{7};
  // Starts at the middle, so that longer inputs wrap.
  const std::uint64_t start = kRingBytes / 2;
  for (std::size_t i = 0; i < count; ++i) data[(start + i) % kRingBytes] = bytes[i];
  perf_event_mmap_page page{};
  page.data_tail = start;
  page.data_head = start + count;
  PerfRingReader reader(page, data);
  PerfRingSet rings(layout);
  rings.add(reader);
  rings.visit_new([](RecordHeader, std::span<const std::byte>) {});
  rings.look();
  while (const auto item = rings.next(Nanoseconds{~std::uint64_t{0}})) {
    decode_each_way(item->bytes, layout);
    rings.visit_following(*item, [](RecordHeader, std::span<const std::byte>) { return true; });
  }
  rings.release();
  if (page.data_tail != page.data_head) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SampleLayout layout;
  if (size < sizeof layout.sample_type + sizeof layout.register_mask) return 0;
  std::memcpy(&layout.sample_type, data, sizeof layout.sample_type);
  std::memcpy(&layout.register_mask, data + sizeof layout.sample_type, sizeof layout.register_mask);
  // Most random layouts are refused at once; this makes the others common.
  layout.sample_type &= PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                        PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU |
                        PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER |
                        PERF_SAMPLE_RAW;
  const auto records = std::as_bytes(std::span(data, size)).subspan(16);
  decode_each_way(records, layout);
  read_as_ring(records, layout);
  return 0;
}
