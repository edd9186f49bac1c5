#include "tools/trapline/watch/hit_pipeline.h"

#include <fmt/format.h>

#include <utility>

#include "ports/linux/native_architecture.h"

namespace trapline::command {
namespace {

// Distinct stacks remembered before the table starts afresh: about 10 MB with deep stacks.
constexpr std::size_t kStackTableLimit = 4096;

std::optional<report::AccessedBytes> accessed_by(const decode::Culprit& culprit) {
  if (!culprit.accessed) return std::nullopt;
  return report::AccessedBytes{culprit.accessed->address, culprit.accessed->length};
}

}  // namespace

HitPipeline::HitPipeline(const Parts& parts)
    : parts_(parts),
      stacks_(kStackTableLimit),
      traps_before_access_(linux_port::native_debug_architecture().traps_before_access) {}

void HitPipeline::on_sample(const linux_port::Sample& sample) {
  if (finished_) return;
  ProcessView& view = parts_.views.of(sample);
  Hit hit = sample.hit;
  const decode::Culprit* culprit = find_culprit(sample, view);
  find_values(hit, sample, culprit, view);
  if (!is_wanted_kind(hit, culprit) || !passes_conditions(hit)) {
    ++totals_.filtered;
    // What other threads wrote meanwhile can fail this one alone: those that are like it have been
    // judged by their own values, each where it was made.
    if (sample.tally != 0) tell(&report::Reporter::open_tally, hit, sample, culprit, view);
    return;
  }
  ++totals_.hits;
  tell(&report::Reporter::hit, hit, sample, culprit, view);
  if (parts_.options.max_hits == totals_.hits) {
    finished_ = fmt::format("{} {}", totals_.hits, totals_.hits == 1 ? "hit" : "hits");
  }
}

void HitPipeline::tell(Tell how, Hit& hit, const linux_port::Sample& sample,
                       const decode::Culprit* culprit, ProcessView& view) {
  hit.callers = view.find_callers(sample, parts_.options.stack);
  std::optional<RemoteAddress> ip;
  if (culprit != nullptr) ip = culprit->ip;
  if (hit.access == Access::execute || traps_before_access_) ip = hit.trap_ip;
  const report::ResolvedStack& stack = resolve_stack(sample, hit, ip, view);
  const report::HitView told{.hit = hit,
                             .ip = ip,
                             .instruction = culprit == nullptr ? std::string_view() : culprit->text,
                             .stack = stack,
                             .object_start = sample.object_start,
                             .accessed = culprit == nullptr ? std::nullopt : accessed_by(*culprit),
                             .names = view.names(),
                             .tally = sample.tally};
  note((parts_.reporter.*how)(told));
}

const decode::Culprit* HitPipeline::find_culprit(const linux_port::Sample& sample,
                                                 ProcessView& view) const {
  if (sample.hit.in_kernel || sample.hit.access == Access::execute) return nullptr;
  return view.find_culprit(sample);
}

void HitPipeline::find_values(Hit& hit, const linux_port::Sample& sample,
                              const decode::Culprit* culprit, ProcessView& view) {
  if (!parts_.options.values || hit.access == Access::execute) {
    hit.old_value = hit.new_value = {};
    return;
  }
  ValueTracker& values = parts_.views.values_of(view);
  // Somebody may have written since the hit before, on the CPU that is not watched.
  if (gaps_.is_open()) {
    values.forget();
    hit.old_value = {};
  }
  const RemoteAddress start = sample.object_start.value_or(parts_.object.request.address);
  if (sample.follows_undelivered) values.forget_before(hit, start);
  values.update_at(start, sample.initial, hit, culprit, sample.registers, sample.is_newest);
  if (const auto& field = parts_.object.type.bits) {
    for (MemoryValue* value : {&hit.old_value, &hit.new_value})
      value->bits = symbols::extract_bits(value->bits, *field, parts_.object.type.is_signed);
  }
}

bool HitPipeline::is_wanted_kind(Hit& hit, const decode::Culprit* culprit) {
  const Access wanted = parts_.object.request.access;
  if (hit.access == wanted || hit.access != Access::read_write) return true;
  const auto done = culprit == nullptr ? std::nullopt : culprit->access;
  // Shown as what was watched: to hide it would be to guess.
  if (!done) return true;
  if (*done != wanted && *done != Access::read_write) return false;
  hit.access = wanted;
  return true;
}

bool HitPipeline::passes_conditions(const Hit& hit) {
  bool undecided = false;
  // Also what a collector has judged: it saw what memory held, and here the store itself may have
  // told what was written.
  for (const TypedCondition& condition : parts_.object.conditions) {
    const Verdict verdict = evaluate(condition, hit);
    if (verdict == Verdict::fails) return false;
    undecided = undecided || verdict == Verdict::undecided;
  }
  // A hit that cannot be judged is shown: to hide it would be to guess.
  if (undecided) ++totals_.undecided;
  return true;
}

const report::ResolvedStack& HitPipeline::resolve_stack(const linux_port::Sample& sample,
                                                        const Hit& hit,
                                                        std::optional<RemoteAddress> ip,
                                                        ProcessView& view) {
  const bool is_of_process = has_user_code(sample) || !hit.callers.empty();
  const report::StackKey key{.view = is_of_process ? view.number() : 0,
                             .trap_ip = hit.trap_ip,
                             .culprit_ip = ip,
                             .in_kernel = hit.in_kernel,
                             .kernel_stack = sample.kernel_stack,
                             .user_ip = sample.user_ip,
                             .callers = hit.callers};
  return stacks_.find_or_resolve(
      key, [&](const report::StackKey& missing) { return resolve_frames(missing, view); });
}

std::vector<symbols::Frame> HitPipeline::resolve_frames(const report::StackKey& key,
                                                        ProcessView& view) {
  std::vector<symbols::Frame> frames;
  if (key.in_kernel) {
    frames.push_back(kernel_.frame_at(key.trap_ip));
    for (const RemoteAddress address : key.kernel_stack)
      frames.push_back(kernel_.frame_at(address));
    // After the instruction that entered the kernel.
    if (key.user_ip) view.append_frames(*key.user_ip, true, frames);
  } else if (key.culprit_ip) {
    view.append_frames(*key.culprit_ip, false, frames);
  } else {
    // The access was just before it, as a call is before its return address.
    view.append_frames(key.trap_ip, true, frames);
  }
  for (const RemoteAddress address : key.callers) view.append_frames(address, true, frames);
  return frames;
}

void HitPipeline::on_event(const linux_port::TargetEvent& event) {
  using Kind = linux_port::TargetEvent::Kind;
  parts_.views.on_event(event);
  if (event.pid != parts_.target) return;
  if (event.kind == Kind::process_exited && event.wait_status) wait_status_ = event.wait_status;
  if (event.kind == Kind::executed && !finished_) {
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
  parts_.views.on_lost();
  note(parts_.reporter.lost(count));
}

void HitPipeline::on_tally(const linux_port::Tally& tally) {
  if (finished_) return;
  totals_.hits += tally.count;
  note(parts_.reporter.tally({.number = tally.number,
                              .count = tally.count,
                              .first = tally.first,
                              .last = tally.last,
                              .cpus = tally.cpus,
                              .lowest = tally.lowest,
                              .highest = tally.highest,
                              .is_last = tally.is_last}));
}

void HitPipeline::on_rejected(std::uint64_t count) {
  if (!finished_) totals_.filtered += count;
}

void HitPipeline::on_gap() {
  // What was lost may have been an exec.
  parts_.views.on_lost();
}

void HitPipeline::on_cpu(const linux_port::CpuEvent& event) {
  if (finished_) return;
  if (gaps_.add(event)) parts_.views.forget_values();
  note(parts_.reporter.cpu({.cpu = event.cpu,
                            .is_online = event.kind == linux_port::CpuEvent::Kind::online,
                            .time = event.time,
                            .gap = event.gap,
                            .reinstall = event.reinstall,
                            .cpu_was_offline = event.cpu_was_offline,
                            .watched = event.watched,
                            .reason = event.reason}));
}

void HitPipeline::on_lost_uncounted() {
  totals_.lost_is_lower_bound = true;
}

report::WatchEnd HitPipeline::totals(Nanoseconds now) const {
  report::WatchEnd end = totals_;
  end.cpu_changes = gaps_.changes();
  end.gap = gaps_.total(now);
  return end;
}

void HitPipeline::note(Result<void> written) {
  if (written || output_failure_) return;
  output_failure_ = std::move(written.error());
  finished_ = "the output cannot be written";
}

}  // namespace trapline::command
