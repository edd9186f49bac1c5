#include <unistd.h>

#include <cstdint>

#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/self_test.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

// A word of its own, by a plain store: see self_test_perf.cc.
alignas(8) thread_local volatile std::uint64_t probed_word = 0;
constexpr std::uint64_t kWritten = 0x7472'6170'6c69'6e65;

trapline_watch_config config_for(const SlotRequest& slot) {
  trapline_watch_config config{};
  config.slots[0] = {.address = slot.address.value(),
                     .value_address = slot.address.value(),
                     .value_length = static_cast<std::uint32_t>(slot.length.value),
                     .shadow = 0,
                     .epoch = 0,
                     .unused = 0};
  config.slot_count = 1;
  config.pid = static_cast<std::uint32_t>(::getpid());
  config.reads_values = 1;
  return config;
}

}  // namespace

Result<void> self_test_bpf() {
  if (auto safe = programs_on_breakpoints_are_safe(); !safe) return safe;
  const SlotRequest slot{.address = RemoteAddress::of_local(&probed_word),
                         .length = ByteCount{sizeof probed_word},
                         .access = Access::write};
  constexpr ByteCount kSmallRing{64ULL * 1024};
  auto programs =
      BpfWatchPrograms::load(config_for(slot), kSmallRing, BpfWatchPrograms::Told::hits);
  if (!programs) return std::unexpected(std::move(programs.error()));
  const auto event = open_self_watch(slot);
  if (!event) return std::unexpected(event.error());
  if (const auto set = event->set_program(programs->hit_program()); !set)
    return fail(ErrorCode::not_supported,
                "this kernel sets no BPF program on a watch; use --collector perf", set.error());
  if (auto enabled = enable_self_watch(*event); !enabled) return enabled;
  probed_word = kWritten;
  event->disable();
  if (event->count().value_or(0) == 0) return fail_dead_registers();
  bool seen = false;
  bool is_known_by_its_number = false;
  BpfHit hit;
  programs->read([&](std::span<const std::byte> record) {
    if (decode_bpf_hit(record, hit)) {
      seen = hit.new_value == MemoryValue{kWritten, Certainty::exact};
      is_known_by_its_number = hit.sample.pid.value == ::getpid();
    }
    return true;
  });
  if (!seen)
    return fail(ErrorCode::not_supported,
                "a watch of trapline's own memory fired, but its BPF program did not tell what was "
                "written; use --collector perf, and please report this");
  if (!is_known_by_its_number)
    return fail(ErrorCode::not_supported,
                "BPF programs know processes by the numbers of the machine, and this container has "
                "numbers of its own: share the host's (--pid=host), or use --collector perf");
  return {};
}

}  // namespace trapline::linux_port
