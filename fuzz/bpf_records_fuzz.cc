// deps: trapline_linux
//
// Any bytes as a record of the BPF programs: decoders must stay inside them, whatever they claim.
// The first two are also tried as the counts of frames in a hit that is about as long as the input,
// which random bytes seldom are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/watch_record.h"

namespace {

using namespace trapline;
using namespace trapline::linux_port;

// In memory of its own size, so that a step outside is seen.
void decode_each_way(std::span<const std::byte> bytes) {
  const std::vector<std::byte> record(bytes.begin(), bytes.end());
  BpfHit hit;
  if (decode_bpf_hit(record, hit)) {
    const std::size_t words = record.size() / sizeof(std::uint64_t);
    if (hit.sample.user_chain.size() > words || hit.sample.kernel_chain.size() > words)
      std::abort();
  }
  static_cast<void>(decode_bpf_task(record));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  decode_each_way(bytes);
  // The input says how many frames there are, and how much of them.
  if (size < 2) return 0;
  trapline_hit_record record{};
  record.kind = TRAPLINE_HIT;
  record.user_frames = data[0];
  record.kernel_frames = data[1];
  const auto whole = std::as_bytes(std::span(&record, 1));
  decode_each_way(whole.first(std::min(whole.size(), offsetof(trapline_hit_record, user_chain) +
                                                         (size - 2) * sizeof(std::uint64_t))));
  return 0;
}
