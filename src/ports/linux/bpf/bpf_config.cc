#include "ports/linux/bpf/bpf_config.h"

#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/value_bytes.h"
#include "ports/linux/bpf/bpf_filter.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

static_assert(TRAPLINE_MAX_SLOTS == kMaxPlanSlots);

ByteCount bytes_for_all_cpus(ByteCount for_each) {
  constexpr std::uint64_t kMost = 64ULL * 1024 * 1024;
  const auto cpus = online_cpus();
  const std::uint64_t count = std::bit_ceil(std::uint64_t{cpus ? cpus->count() : 1});
  return ByteCount{std::min(for_each.value * count, std::max(kMost, for_each.value))};
}

}  // namespace

Result<void> bpf_can_do(const CollectorOptions& options) {
  if (auto safe = programs_on_breakpoints_are_safe(); !safe) return safe;
  if (options.stack != StackMode::dwarf) return {};
  return fail(ErrorCode::not_supported,
              "collector bpf takes no copies of stacks (--stack dwarf): use --collector perf");
}

std::vector<trapline_slot> bpf_slots_for(const Plan& plan) {
  const auto slots = plan.slots();
  const bool one_value = plan.length().value <= kWordBytes;
  std::vector<trapline_slot> result;
  for (std::size_t index = 0; index < slots.size(); ++index) {
    const SlotRequest& slot = slots[index];
    const SlotRequest& first = one_value ? slots.front() : slot;
    result.push_back({.address = slot.address.value(),
                      .value_address = first.address.value(),
                      .value_length = static_cast<std::uint32_t>(one_value ? plan.length().value
                                                                           : slot.length.value),
                      .shadow = one_value ? 0U : static_cast<std::uint32_t>(index),
                      .epoch = 0,
                      .unused = 0});
  }
  return result;
}

trapline_watch_config bpf_config_for(const CollectorOptions& options) {
  trapline_watch_config config{};
  config.watcher_pid = static_cast<std::uint32_t>(::getpid());
  config.reads_values = options.values ? 1 : 0;
  config.walks_stack = options.stack == StackMode::frame_pointer ? 1 : 0;
  config.filter = bpf_filter_for(options.conditions);
  // What the programs cannot judge goes to the reader.
  config.tallies_hits =
      options.tally_order && options.conditions.size() <= TRAPLINE_MAX_CONDITIONS ? 1 : 0;
  config.value_order = static_cast<std::uint32_t>(options.tally_order.value_or(ValueOrder::none));
  return config;
}

Result<BpfWatchPrograms> load_bpf_programs(trapline_watch_config config, ByteCount bytes_for_each) {
  constexpr std::uint64_t kLeastBytes = 4096;
  ByteCount bytes = bytes_for_all_cpus(bytes_for_each);
  while (true) {
    config.wakeup_bytes = static_cast<std::uint32_t>(bytes.value / 8);
    auto programs = BpfWatchPrograms::load(config, bytes, BpfWatchPrograms::Told::hits_and_tasks);
    if (programs || programs.error().error.code != ErrorCode::limit_reached ||
        bytes.value <= kLeastBytes)
      return programs;
    bytes.value /= 2;
  }
}

}  // namespace trapline::linux_port
