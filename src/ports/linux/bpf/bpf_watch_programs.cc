#include "ports/linux/bpf/bpf_watch_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "watch_bpf.skel.h"

namespace trapline::linux_port {
namespace {

struct DestroySkeleton {
  void operator()(watch_bpf* skeleton) const { watch_bpf::destroy(skeleton); }
};
struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

// What libbpf has to say of a failure goes into the failure, not to standard error. The first
// warning is the nearest to the cause; those after it tell what could not be done then.
thread_local std::string first_warning;

int keep_first_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN || !first_warning.empty()) return 0;
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
                                              ByteCount ring_bytes, bool with_code_maps);

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

std::expected<void, int> BpfWatchPrograms::Loaded::load(const trapline_watch_config& config,
                                                        ByteCount ring_bytes, bool with_code_maps) {
  first_warning.clear();
  skeleton.reset(watch_bpf::open());
  if (!skeleton) return std::unexpected(errno);
  skeleton->rodata->config = config;
  tells_code_maps = with_code_maps;
  bpf_program__set_autoload(skeleton->progs.on_map, with_code_maps);
  if (config.follows_children == 0) bpf_map__set_max_entries(skeleton->maps.followed, 1);
  // Those of hits are set on the events.
  bpf_program__set_autoattach(skeleton->progs.on_hit, false);
  bpf_program__set_autoattach(skeleton->progs.on_hit_of_late_thread, false);
  int error =
      bpf_map__set_max_entries(skeleton->maps.ring, static_cast<std::uint32_t>(ring_bytes.value));
  if (error == 0) error = watch_bpf::load(skeleton.get());
  if (error == 0) error = watch_bpf::attach(skeleton.get());
  if (error != 0) return std::unexpected(-error);
  return {};
}

Result<void> programs_on_breakpoints_are_safe() {
  if (!native_debug_architecture().traps_before_access) return {};
  return fail(ErrorCode::not_supported,
              "kernels for this architecture run a program on a breakpoint for ever, unless they "
              "have d11a69873d9a (hw_breakpoint: fix single-stepping when using "
              "bpf_overflow_handler): collector bpf is left alone here");
}

Result<BpfWatchPrograms> BpfWatchPrograms::load(const trapline_watch_config& config,
                                                ByteCount ring_bytes) {
  libbpf_set_print(keep_first_warning);
  auto loaded = std::make_unique<Loaded>();
  auto done = loaded->load(config, ring_bytes, /*with_code_maps=*/true);
  // Some kernels let no program see their functions, which this one needs.
  if (!done && first_warning.find("'on_map'") != std::string::npos)
    done = loaded->load(config, ring_bytes, /*with_code_maps=*/false);
  if (!done) return std::unexpected(explain_load_error(done.error()));
  loaded->ring.reset(ring_buffer__new(bpf_map__fd(loaded->skeleton->maps.ring), Loaded::handle,
                                      loaded.get(), nullptr));
  if (!loaded->ring) return std::unexpected(explain_load_error(errno));
  return BpfWatchPrograms(std::move(loaded));
}

int BpfWatchPrograms::hit_program(bool late) const {
  const auto& programs = loaded_->skeleton->progs;
  return bpf_program__fd(late ? programs.on_hit_of_late_thread : programs.on_hit);
}

Result<void> BpfWatchPrograms::add_late_thread(ThreadId tid) {
  const std::uint64_t nothing_inherited = 0;
  const auto key = static_cast<std::uint32_t>(tid.value);
  if (const int error = bpf_map_update_elem(bpf_map__fd(loaded_->skeleton->maps.late_threads), &key,
                                            &nothing_inherited, BPF_ANY);
      error != 0)
    return fail(ErrorCode::limit_reached, "too many threads started while the watch was being set",
                -error);
  loaded_->skeleton->bss->has_late_threads = 1;
  return {};
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

BpfWatchPrograms::Counters BpfWatchPrograms::counters() const {
  // Written by the programs meanwhile.
  const volatile auto& bss = *loaded_->skeleton->bss;
  return {.lost_hits = bss.lost_hits, .lost_tasks = bss.lost_tasks};
}

}  // namespace trapline::linux_port
