#include "ports/linux/bpf/bpf_watch_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <expected>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "watch_bpf.skel.h"

namespace trapline::linux_port {
namespace {

// More than one bucket of the kernel's table can hold, or it gives none of that bucket out.
constexpr std::size_t kTalliesPerCall = 1024;
// Of processes that have hit and have not ended.
constexpr std::uint32_t kShadowsOfMachine = 16384;

struct DestroySkeleton {
  void operator()(watch_bpf* skeleton) const { watch_bpf::destroy(skeleton); }
};
struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

// What libbpf has to say of a failure goes into the failure, not to standard error. The first
// warning is the nearest to the cause; those after it tell what could not be done then.
thread_local std::string first_warning;
std::atomic<bool> prints_messages = false;

int keep_first_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  if (prints_messages) {
    va_list again;
    va_copy(again, arguments);
    std::vfprintf(stderr, format, again);
    va_end(again);
  }
  if (!first_warning.empty()) return 0;
  char line[512];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  first_warning.assign(line, std::strcspn(line, "\n"));
  return length;
}

Failure explain_load_error(int error) {
  const std::string said = first_warning.empty() ? "" : " (" + first_warning + ")";
  switch (error) {
    case EPERM:
      return {
          {ErrorCode::permission_denied, error},
          "BPF programs need CAP_BPF and CAP_PERFMON, and a system that does not forbid them as "
          "the seccomp filter of a container does: run as root, or use --collector perf"};
    case ESRCH:
    case ENOENT:
      return {{ErrorCode::not_supported, error},
              "this kernel does not describe its own types (CONFIG_DEBUG_INFO_BTF), which "
              "trapline's BPF programs need" +
                  said};
    case ENOMEM:
      return {{ErrorCode::limit_reached, error}, "there is no memory for BPF programs and maps"};
    default:
      return {{ErrorCode::not_supported, error},
              "this kernel does not take trapline's BPF programs" + said};
  }
}

}  // namespace

struct BpfWatchPrograms::Loaded {
  std::unique_ptr<watch_bpf, DestroySkeleton> skeleton;
  std::unique_ptr<ring_buffer, FreeRing> ring;
  const std::function<bool(std::span<const std::byte>)>* visit = nullptr;  // during read()
  bool stopped = false;
  bool tells_code_maps = false;

  // The error is an errno.
  [[nodiscard]] std::expected<void, int> load(const trapline_watch_config& config,
                                              ByteCount ring_bytes, Told told, bool with_code_maps);
  // A negative errno, or 0.
  [[nodiscard]] int tell_number_of_hit_program() const;

  // What shadows[] begins with, where each process has shadows of its own. 0 or a negative errno.
  [[nodiscard]] int set_first_shadows(const trapline_watch_config& config) const;

  static int handle(void* context, void* data, std::size_t size) {
    auto& self = *static_cast<Loaded*>(context);
    self.stopped = !(*self.visit)(std::span(static_cast<const std::byte*>(data), size));
    return self.stopped ? -ECANCELED : 0;
  }
};

BpfWatchPrograms::BpfWatchPrograms(std::unique_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {}
BpfWatchPrograms::BpfWatchPrograms(BpfWatchPrograms&& other) noexcept = default;
BpfWatchPrograms& BpfWatchPrograms::operator=(BpfWatchPrograms&& other) noexcept = default;
BpfWatchPrograms::~BpfWatchPrograms() = default;

int BpfWatchPrograms::Loaded::set_first_shadows(const trapline_watch_config& config) const {
  trapline_shadow before_first{};
  before_first.state = TRAPLINE_BEFORE_FIRST;
  for (std::uint32_t slot = 0; slot < config.slot_count; ++slot) {
    const std::uint32_t key[] = {config.pid, config.slots[slot].shadow};
    if (const int error = bpf_map_update_elem(bpf_map__fd(skeleton->maps.shadows_of_processes), key,
                                              &before_first, BPF_ANY);
        error != 0)
      return error;
  }
  return 0;
}

std::expected<void, int> BpfWatchPrograms::Loaded::load(const trapline_watch_config& config,
                                                        ByteCount ring_bytes, Told told,
                                                        bool with_code_maps) {
  first_warning.clear();
  skeleton.reset(watch_bpf::open());
  if (!skeleton) return std::unexpected(errno);
  skeleton->rodata->config = config;
  for (trapline_shadow& shadow : skeleton->bss->shadows) shadow.state = TRAPLINE_BEFORE_FIRST;
  tells_code_maps = with_code_maps;
  const auto& programs = skeleton->progs;
  for (bpf_program* program : {programs.on_fork, programs.on_exit, programs.on_exec})
    bpf_program__set_autoload(program, told == Told::hits_and_tasks);
  bpf_program__set_autoload(programs.list_threads,
                            told == Told::hits_and_tasks && config.whole_machine == 0);
  bpf_program__set_autoload(programs.on_map, with_code_maps);
  if (config.follows_children == 0) bpf_map__set_max_entries(skeleton->maps.followed, 1);
  if (config.whole_machine != 0) {
    bpf_map__set_type(skeleton->maps.shadows_of_processes, BPF_MAP_TYPE_HASH);
    bpf_map__set_max_entries(skeleton->maps.shadows_of_processes,
                             config.kernel_memory != 0 ? 1 : kShadowsOfMachine);
  }
  // The kernel makes no table of stacks that are longer than those it walks.
  const auto deepest = static_cast<std::uint32_t>(
      read_number("/proc/sys/kernel/perf_event_max_stack").value_or(TRAPLINE_MAX_FRAMES));
  if (deepest < TRAPLINE_MAX_FRAMES)
    bpf_map__set_value_size(skeleton->maps.tallied_stacks, deepest * sizeof(std::uint64_t));
  if (config.tallies_hits == 0) {
    bpf_map__set_max_entries(skeleton->maps.tallies, 1);
    bpf_map__set_max_entries(skeleton->maps.tallied_stacks, 1);
  }
  bpf_program__set_autoattach(programs.on_hit, false);  // it is set on the events
  int error =
      bpf_map__set_max_entries(skeleton->maps.ring, static_cast<std::uint32_t>(ring_bytes.value));
  if (error == 0) error = watch_bpf::load(skeleton.get());
  if (error == 0) error = tell_number_of_hit_program();
  if (error == 0 && config.follows_children != 0) error = set_first_shadows(config);
  if (error == 0) error = watch_bpf::attach(skeleton.get());
  if (error != 0) return std::unexpected(-error);
  return {};
}

int BpfWatchPrograms::Loaded::tell_number_of_hit_program() const {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  const int error = bpf_obj_get_info_by_fd(bpf_program__fd(skeleton->progs.on_hit), &info, &size);
  if (error == 0) skeleton->bss->hit_program_id = info.id;
  return error;
}

void print_bpf_messages() {
  prints_messages = true;
}

Result<void> programs_on_breakpoints_are_safe() {
  if (!native_debug_architecture().traps_before_access) return {};
  return fail(ErrorCode::not_supported,
              "kernels for this architecture run a program on a breakpoint for ever, unless they "
              "have d11a69873d9a (hw_breakpoint: fix single-stepping when using "
              "bpf_overflow_handler): collector bpf is left alone here");
}

Result<BpfWatchPrograms> BpfWatchPrograms::load(const trapline_watch_config& config,
                                                ByteCount ring_bytes, Told told) {
  libbpf_set_print(keep_first_warning);
  auto loaded = std::make_unique<Loaded>();
  auto done = loaded->load(config, ring_bytes, told,
                           /*with_code_maps=*/told == Told::hits_and_tasks);
  // Some kernels let no program see their functions, which this one needs.
  if (!done && first_warning.find("'on_map'") != std::string::npos)
    done = loaded->load(config, ring_bytes, told, /*with_code_maps=*/false);
  if (!done) return std::unexpected(explain_load_error(done.error()));
  loaded->ring.reset(ring_buffer__new(bpf_map__fd(loaded->skeleton->maps.ring), Loaded::handle,
                                      loaded.get(), nullptr));
  if (!loaded->ring) return std::unexpected(explain_load_error(errno));
  return BpfWatchPrograms(std::move(loaded));
}

const trapline_watch_config& BpfWatchPrograms::config() const {
  return loaded_->skeleton->rodata->config;
}

int BpfWatchPrograms::hit_program() const {
  return bpf_program__fd(loaded_->skeleton->progs.on_hit);
}

Result<std::vector<trapline_thread_record>> BpfWatchPrograms::list_threads() const {
  const auto failed = [](int error) {
    return fail(ErrorCode::os_failure,
                "the threads of the target cannot be listed by a BPF program; use --collector perf",
                error);
  };
  const FileDescriptor walk(bpf_iter_create(bpf_link__fd(loaded_->skeleton->links.list_threads)));
  if (!walk.is_open()) return failed(errno);
  std::vector<trapline_thread_record> threads;
  std::size_t bytes = 0;  // of them, read so far
  while (true) {
    constexpr std::size_t kMoreThreads = 256;
    threads.resize(bytes / sizeof threads[0] + kMoreThreads);
    const std::span<std::byte> room = std::as_writable_bytes(std::span(threads)).subspan(bytes);
    const ssize_t count = ::read(walk.get(), room.data(), room.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return failed(errno);
    if (count == 0) break;
    bytes += static_cast<std::size_t>(count);
  }
  threads.resize(bytes / sizeof threads[0]);
  return threads;
}

void BpfWatchPrograms::set_machine_slots(std::span<const trapline_slot> slots) const {
  auto& places = loaded_->skeleton->bss->machine_slots;
  assert(slots.size() <= std::size(places));
  // An entry that programs look at differs in its epoch alone.
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    trapline_slot& place = places[slot];
    const std::atomic_ref<std::uint32_t> epoch(place.epoch);
    trapline_slot wanted = slots[slot];
    wanted.epoch = epoch.load(std::memory_order_relaxed);
    if (std::memcmp(&place, &wanted, sizeof place) != 0) place = wanted;
    epoch.store(slots[slot].epoch, std::memory_order_relaxed);
  }
}

bool BpfWatchPrograms::tells_code_maps() const {
  return loaded_->tells_code_maps;
}

int BpfWatchPrograms::descriptor() const {
  return ring_buffer__epoll_fd(loaded_->ring.get());
}

bool BpfWatchPrograms::read(const std::function<bool(std::span<const std::byte>)>& visit) {
  loaded_->visit = &visit;
  loaded_->stopped = false;
  ring_buffer__consume(loaded_->ring.get());
  return !loaded_->stopped;
}

Result<std::vector<BpfTally>> BpfWatchPrograms::tallies() const {
  const int map = bpf_map__fd(loaded_->skeleton->maps.tallies);
  std::vector<BpfTally> found;
  std::vector<trapline_tally_key> keys(kTalliesPerCall);
  std::vector<trapline_tally> values(kTalliesPerCall);
  std::uint32_t place = 0;  // where the kernel goes on
  for (bool is_first = true, is_done = false; !is_done; is_first = false) {
    auto count = static_cast<std::uint32_t>(kTalliesPerCall);
    const int error = bpf_map_lookup_batch(map, is_first ? nullptr : &place, &place, keys.data(),
                                           values.data(), &count, nullptr);
    if (error != 0 && error != -ENOENT)
      return fail(ErrorCode::os_failure, "the kernel does not give the summary out", -error);
    for (std::uint32_t i = 0; i < count; ++i) found.push_back({keys[i], values[i]});
    is_done = error != 0;
  }
  return found;
}

void BpfWatchPrograms::remove_tallies(std::span<const trapline_tally_key> keys) const {
  for (const trapline_tally_key& key : keys)
    bpf_map_delete_elem(bpf_map__fd(loaded_->skeleton->maps.tallies), &key);
}

BpfWatchPrograms::Counters BpfWatchPrograms::counters() const {
  // Written by the programs meanwhile.
  const volatile auto& bss = *loaded_->skeleton->bss;
  return {.lost_hits = bss.lost_hits, .lost_tasks = bss.lost_tasks};
}

std::optional<BpfWatchPrograms::HitCounts> BpfWatchPrograms::hit_counts() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return std::nullopt;
  std::vector<trapline_hit_counts> by_cpu(static_cast<std::size_t>(cpus));
  const std::uint32_t zero = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(loaded_->skeleton->maps.hit_counts), &zero, by_cpu.data()) !=
      0)
    return std::nullopt;
  HitCounts sum;
  for (const trapline_hit_counts& counts : by_cpu) {
    sum.runs += counts.runs;
    sum.rejected += counts.rejected;
  }
  return sum;
}

}  // namespace trapline::linux_port
