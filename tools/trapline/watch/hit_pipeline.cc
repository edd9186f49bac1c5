#include "tools/trapline/watch/hit_pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace trapline::command {
namespace {

// Distinct stacks remembered before the table starts afresh: about 10 MB with deep stacks.
constexpr std::size_t kStackTableLimit = 4096;

}  // namespace

HitPipeline::HitPipeline(const Parts& parts) : parts_(parts), stacks_(kStackTableLimit) {}

void HitPipeline::on_sample(const linux_port::Sample& sample) {
  if (finished_) return;
  refresh_symbols_if_stale();
  Hit hit = sample.hit;
  const decode::Culprit* culprit = find_culprit(sample);
  if (parts_.options.values && hit.access != Access::execute) {
    parts_.values.update(hit, culprit, sample.registers, sample.is_newest);
  } else {
    hit.new_value = {};
  }
  if (!passes_conditions(hit)) {
    ++totals_.filtered;
    return;
  }
  hit.callers = find_callers(sample);
  std::optional<RemoteAddress> ip;
  if (culprit != nullptr) ip = culprit->ip;
  if (hit.access == Access::execute) ip = hit.trap_ip;
  const report::ResolvedStack& stack = resolve_stack(sample, hit, ip);
  ++totals_.hits;
  note(parts_.reporter.hit(
      {hit, ip, culprit == nullptr ? std::string_view() : culprit->text, stack}));
  if (parts_.options.max_hits == totals_.hits) {
    finished_ = fmt::format("{} {}", totals_.hits, totals_.hits == 1 ? "hit" : "hits");
  }
}

const decode::Culprit* HitPipeline::find_culprit(const linux_port::Sample& sample) {
  const Hit& hit = sample.hit;
  if (hit.in_kernel || hit.access == Access::execute) return nullptr;
  // The code would be read from a program that did not run it.
  if (image_is_replaced_) return nullptr;
  return parts_.finder.find(hit.trap_ip, sample.registers, {hit.address, hit.length, hit.access},
                            [this](RemoteAddress address) -> std::optional<decode::CodeRange> {
                              const auto function = parts_.symbolizer.function_at(address);
                              if (!function) return std::nullopt;
                              return decode::CodeRange{function->start, function->end};
                            });
}

std::span<const RemoteAddress> HitPipeline::find_callers(const linux_port::Sample& sample) {
  if (parts_.options.stack == linux_port::StackMode::dwarf) {
    callers_ = parts_.unwinder.unwind(sample.registers, sample.stack_bytes);
    return callers_;
  }
  const RemoteAddress user_ip = sample.user_ip.value_or(sample.hit.trap_ip);
  if (!sample.stack_top || !parts_.frame_state.returns_from_stack_top(user_ip))
    return sample.hit.callers;
  callers_.assign(1, *sample.stack_top);
  callers_.insert(callers_.end(), sample.hit.callers.begin(), sample.hit.callers.end());
  return callers_;
}

bool HitPipeline::passes_conditions(const Hit& hit) {
  const ValueShape shape{std::min(parts_.object.request.length, ByteCount{8}),
                         parts_.object.type.is_signed};
  bool undecided = false;
  for (const Condition& condition : parts_.options.conditions) {
    const Verdict verdict = evaluate(condition, hit, shape);
    if (verdict == Verdict::fails) return false;
    undecided = undecided || verdict == Verdict::undecided;
  }
  // A hit that cannot be judged is shown: to hide it would be to guess.
  if (undecided) ++totals_.undecided;
  return true;
}

const report::ResolvedStack& HitPipeline::resolve_stack(const linux_port::Sample& sample,
                                                        const Hit& hit,
                                                        std::optional<RemoteAddress> ip) {
  const report::StackKey key{.trap_ip = hit.trap_ip,
                             .culprit_ip = ip,
                             .in_kernel = hit.in_kernel,
                             .kernel_stack = sample.kernel_stack,
                             .user_ip = sample.user_ip,
                             .callers = hit.callers};
  return stacks_.find_or_resolve(
      key, [this](const report::StackKey& missing) { return resolve_frames(missing); });
}

std::vector<symbols::Frame> HitPipeline::resolve_frames(const report::StackKey& key) {
  std::vector<symbols::Frame> frames;
  const auto add_user = [&](RemoteAddress address, bool is_return_address) {
    const auto found = parts_.symbolizer.frames_at(address, is_return_address);
    frames.insert(frames.end(), found.begin(), found.end());
  };
  if (key.in_kernel) {
    frames.push_back(parts_.symbolizer.kernel_frame(key.trap_ip));
    for (const RemoteAddress address : key.kernel_stack)
      frames.push_back(parts_.symbolizer.kernel_frame(address));
    if (key.user_ip) add_user(*key.user_ip, true);  // after the instruction that entered the kernel
  } else if (key.culprit_ip) {
    add_user(*key.culprit_ip, false);
  } else {
    add_user(key.trap_ip,
             true);  // the access was just before it, as a call is before its return address
  }
  for (const RemoteAddress address : key.callers) add_user(address, true);
  return frames;
}

void HitPipeline::on_event(const linux_port::TargetEvent& event) {
  using Kind = linux_port::TargetEvent::Kind;
  const bool is_target = event.pid == parts_.pid;
  if (event.kind == Kind::code_mapped && is_target) symbols_stale_ = true;
  if (event.kind == Kind::process_exited && is_target && event.wait_status)
    wait_status_ = event.wait_status;
  if (event.kind == Kind::executed && is_target && !finished_) {
    if (parts_.options.follow_children) {
      // The collector says when the children are gone, too.
      image_is_replaced_ = true;
    } else {
      finished_ = "the target executed another program: what was watched is gone";
    }
  }
}

void HitPipeline::on_lost(std::uint64_t count) {
  if (finished_) return;
  totals_.lost += count;
  parts_.values.forget();
  note(parts_.reporter.lost(count));
}

void HitPipeline::on_gap() {
  parts_.values.forget();
}

void HitPipeline::on_lost_uncounted() {
  totals_.lost_is_lower_bound = true;
}

void HitPipeline::refresh_symbols_if_stale() {
  if (!symbols_stale_) return;
  symbols_stale_ = false;
  // What was known of the old program is what its children run.
  if (image_is_replaced_) return;
  // On failure the target is about to end; what is known of it stays good enough for its last hits.
  if (!parts_.image.refresh()) return;
  parts_.symbolizer.clear();
  parts_.finder.clear();
  parts_.frame_state.clear();
  stacks_.clear();
}

void HitPipeline::note(Result<void> written) {
  if (written || output_failure_) return;
  output_failure_ = std::move(written.error());
  finished_ = "the output cannot be written";
}

}  // namespace trapline::command
