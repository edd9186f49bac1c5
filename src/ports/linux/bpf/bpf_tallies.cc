#include "ports/linux/bpf/bpf_tallies.h"

#include <bit>
#include <tuple>

#include "ports/linux/bpf/value_order.h"

namespace trapline::linux_port {
namespace {

constexpr std::uint32_t kBitsPerWord = 64;

static_assert(static_cast<int>(ValueOrder::none) == TRAPLINE_NO_ORDER &&
              static_cast<int>(ValueOrder::as_unsigned) == TRAPLINE_UNSIGNED_ORDER &&
              static_cast<int>(ValueOrder::as_signed) == TRAPLINE_SIGNED_ORDER &&
              static_cast<int>(ValueOrder::as_floating) == TRAPLINE_FLOATING_ORDER);

CpuSet cpus_of(const trapline_tally& tally) {
  CpuSet cpus;
  for (std::uint32_t word = 0; word < TRAPLINE_CPU_WORDS; ++word) {
    for (std::uint64_t rest = tally.cpus[word]; rest != 0; rest &= rest - 1)
      cpus.insert(CpuId{word * kBitsPerWord + static_cast<std::uint32_t>(std::countr_zero(rest))});
  }
  return cpus;
}

}  // namespace

bool BpfTallies::ByKey::operator()(const trapline_tally_key& a, const trapline_tally_key& b) const {
  const auto fields = [](const trapline_tally_key& key) {
    return std::tie(key.pid, key.tid, key.slot, key.idle_cpu, key.ip, key.user_stack,
                    key.kernel_stack);
  };
  return fields(a) < fields(b);
}

std::uint64_t BpfTallies::open(const trapline_tally_key& key) {
  // A key comes again where its tally was taken away with a thread whose number came again.
  const auto [place, is_new] = told_.insert_or_assign(key, Told{++last_number_, 0});
  return place->second.number;
}

MemoryValue BpfTallies::value_at(std::uint64_t place, const BpfTally& of) const {
  const auto length = static_cast<std::uint32_t>(of.tally.value_length);
  if (length == 0) return {};
  return {trapline_value_at(place, static_cast<std::uint32_t>(order_), length), Certainty::exact};
}

std::vector<trapline_tally_key> BpfTallies::tell(std::span<const BpfTally> tallies,
                                                 SampleSink& sink) {
  std::vector<trapline_tally_key> done;
  for (const BpfTally& entry : tallies) {
    const auto told = told_.find(entry.key);
    if (told == told_.end()) continue;
    const bool is_last = ended_.contains(static_cast<std::int32_t>(entry.key.tid));
    const std::uint64_t more = entry.tally.count - told->second.count;
    if (more != 0 || is_last)
      sink.on_tally({.number = told->second.number,
                     .count = more,
                     .first = Nanoseconds{entry.tally.first},
                     .last = Nanoseconds{entry.tally.last},
                     .cpus = cpus_of(entry.tally),
                     .lowest = value_at(entry.tally.lowest, entry),
                     .highest = value_at(entry.tally.highest, entry),
                     .is_last = is_last});
    told->second.count = entry.tally.count;
    if (!is_last) continue;
    done.push_back(entry.key);
    told_.erase(told);
  }
  ended_.clear();
  return done;
}

}  // namespace trapline::linux_port
