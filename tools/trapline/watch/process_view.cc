#include "tools/trapline/watch/process_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/proc_fs.h"

namespace trapline::command {
namespace {

// "" of a process that is gone or is the kernel's.
std::string program_of(ProcessId pid) {
  return linux_port::read_file(fmt::format("/proc/{}/auxv", pid.value)).value_or("");
}

}  // namespace

bool has_user_code(const linux_port::Sample& sample) {
  return !sample.hit.in_kernel || sample.user_ip || !sample.hit.callers.empty();
}

ProcessView::Code::Code(std::unique_ptr<symbols::ProcessImage> process, MemoryReader& memory)
    : image(std::move(process)),
      symbolizer(*image),
      unwinder(*image),
      frame_state(*image),
      bytes(*image, memory),
      finder(bytes) {}

ProcessView::ProcessView(ProcessId pid, std::unique_ptr<symbols::ProcessImage> image,
                         std::uint64_t number, std::optional<std::string> program)
    : pid_(pid),
      number_(number),
      program_(std::move(program)),
      memory_(pid),
      code_(image ? std::make_unique<Code>(std::move(image), memory_) : nullptr),
      values_(pid, memory_, code_ ? &code_->finder : nullptr) {}

std::unique_ptr<ProcessView> ProcessView::open(ProcessId pid, std::uint64_t number) {
  // Before the image is opened: of an exec in between, the view is found to be outdated.
  std::string program = program_of(pid);
  auto image = symbols::ProcessImage::open(pid);
  return std::make_unique<ProcessView>(pid, image ? std::move(*image) : nullptr, number,
                                       std::move(program));
}

const decode::Culprit* ProcessView::find_culprit(const linux_port::Sample& sample) {
  // The code would be read from a program that did not run it.
  if (!code_ || is_replaced_) return nullptr;
  const Hit& hit = sample.hit;
  return code_->finder.find(hit.trap_ip, sample.registers, {hit.address, hit.length, hit.access},
                            [this](RemoteAddress address) -> std::optional<decode::CodeRange> {
                              const auto function = code_->symbolizer.function_at(address);
                              if (!function) return std::nullopt;
                              return decode::CodeRange{function->start, function->end};
                            });
}

std::span<const RemoteAddress> ProcessView::find_callers(const linux_port::Sample& sample,
                                                         linux_port::StackMode mode) {
  if (!code_) return sample.hit.callers;
  if (mode == linux_port::StackMode::dwarf) {
    callers_ = code_->unwinder.unwind(sample.registers, sample.stack_bytes);
    return callers_;
  }
  const RemoteAddress user_ip = sample.user_ip.value_or(sample.hit.trap_ip);
  if (!sample.stack_top || !code_->frame_state.returns_as_called(user_ip))
    return sample.hit.callers;
  callers_.assign(1, *sample.stack_top);
  callers_.insert(callers_.end(), sample.hit.callers.begin(), sample.hit.callers.end());
  return callers_;
}

void ProcessView::append_frames(RemoteAddress address, bool is_return_address,
                                std::vector<symbols::Frame>& frames) {
  if (!code_) {
    symbols::Frame unknown;
    unknown.ip = address;
    frames.push_back(std::move(unknown));
    return;
  }
  const auto found = code_->symbolizer.frames_at(address, is_return_address);
  frames.insert(frames.end(), found.begin(), found.end());
}

bool ProcessView::lacks_code_of(const linux_port::Sample& sample) const {
  const auto is_unknown = [this](RemoteAddress address) {
    return !code_->image->has_module_at(address);
  };
  if (sample.user_ip ? is_unknown(*sample.user_ip)
                     : !sample.hit.in_kernel && is_unknown(sample.hit.trap_ip))
    return true;
  return std::ranges::any_of(sample.hit.callers, is_unknown);
}

void ProcessView::find_lost_code(const linux_port::Sample& sample, std::uint64_t new_number) {
  constexpr Nanoseconds kBetweenLooks{kNanosecondsPerSecond};
  if (!may_lack_code_ || !code_ || is_replaced_) return;
  const Nanoseconds now = linux_port::monotonic_now();
  if (now < next_look_ || !lacks_code_of(sample)) return;
  next_look_ = Nanoseconds{now.value + kBetweenLooks.value};
  may_lack_code_ = false;
  const auto before = code_->image->modules();
  if (code_->image->refresh() && code_->image->modules() != before) forget_code(new_number);
}

void ProcessView::refresh(std::uint64_t new_number) {
  is_stale_ = false;
  // What was known of the old program is what its children run.
  if (!code_ || is_replaced_) return;
  // On failure the process is about to end; what is known of it stays good enough for its last
  // hits.
  if (code_->image->refresh()) forget_code(new_number);
}

void ProcessView::forget_code(std::uint64_t new_number) {
  code_->symbolizer.clear();
  code_->finder.clear();
  code_->frame_state.clear();
  number_ = new_number;
}

bool ProcessView::is_outdated() const {
  if (!program_) return false;
  const std::string now = program_of(pid_);
  return !now.empty() && now != *program_;
}

}  // namespace trapline::command
