#include "tools/trapline/watch/process_views.h"

#include <utility>

namespace trapline::command {

ProcessViews::ProcessViews(std::unique_ptr<symbols::ProcessImage> image) {
  const ProcessId pid = image->pid();
  single_ = std::make_unique<ProcessView>(pid, std::move(image), next_number_++);
}

ProcessViews::ProcessViews(MemoryReader* kernel_memory, std::size_t limit) : limit_(limit) {
  if (kernel_memory != nullptr) kernel_values_.emplace(std::nullopt, *kernel_memory, nullptr);
}

ProcessView& ProcessViews::of(const linux_port::Sample& sample) {
  if (kernel_values_ && !has_user_code(sample)) return nobody_;
  ProcessView& view = of(sample.hit.pid);
  view.find_lost_code(sample, next_number_++);
  return view;
}

ProcessView& ProcessViews::of(ProcessId pid) {
  ProcessView& view = single_ ? *single_ : by_process(pid);
  if (view.is_stale()) view.refresh(next_number_++);
  return view;
}

ProcessView& ProcessViews::by_process(ProcessId pid) {
  const auto known = by_pid_.find(pid.value);
  if (known == by_pid_.end()) return make(pid);
  Entry& entry = *known->second;
  if (std::exchange(entry.is_doubtful, false) && entry.view->is_outdated()) {
    drop(pid);
    return make(pid);
  }
  entries_.splice(entries_.begin(), entries_, known->second);
  return *entry.view;
}

ProcessView& ProcessViews::make(ProcessId pid) {
  if (entries_.size() >= limit_ && !entries_.empty()) drop(entries_.back().view->pid());
  entries_.push_front({ProcessView::open(pid, next_number_++)});
  by_pid_[pid.value] = entries_.begin();
  ProcessView& view = *entries_.front().view;
  view.values().set_watch(watch_);
  view.values().set_sees_all_writers(sees_all_writers_);
  return view;
}

void ProcessViews::drop(ProcessId pid) {
  const auto known = by_pid_.find(pid.value);
  if (known == by_pid_.end()) return;
  entries_.erase(known->second);
  by_pid_.erase(known);
}

template <typename Visit>
void ProcessViews::for_each_values(Visit visit) {
  if (kernel_values_) visit(*kernel_values_);
  if (single_) visit(single_->values());
  for (Entry& entry : entries_) visit(entry.view->values());
}

void ProcessViews::read_initial(const Request& watch, std::span<const SlotRequest> slots,
                                bool target_is_stopped) {
  watch_ = watch;
  if (kernel_values_) kernel_values_->read_initial(watch, slots, target_is_stopped);
  if (single_) single_->values().read_initial(watch, slots, target_is_stopped);
  for (Entry& entry : entries_) entry.view->values().set_watch(watch);
}

void ProcessViews::set_sees_all_writers(bool sees_all) {
  sees_all_writers_ = sees_all;
  for_each_values([&](ValueTracker& values) { values.set_sees_all_writers(sees_all); });
}

void ProcessViews::on_event(const linux_port::TargetEvent& event) {
  using Kind = linux_port::TargetEvent::Kind;
  if (single_) {
    if (event.pid == single_->pid()) on_event_of_single(event, *single_);
    return;
  }
  switch (event.kind) {
    case Kind::code_mapped:
      if (const auto known = by_pid_.find(event.pid.value); known != by_pid_.end())
        known->second->view->mark_stale();
      break;
    // A process that begins with a number seen before: the end of the one before it was missed.
    case Kind::process_forked:
    case Kind::executed:
    case Kind::process_exited:
      drop(event.pid);
      break;
    case Kind::thread_started:
    case Kind::thread_exited:
      break;
  }
}

void ProcessViews::on_event_of_single(const linux_port::TargetEvent& event, ProcessView& view) {
  using Kind = linux_port::TargetEvent::Kind;
  if (event.kind == Kind::code_mapped) view.mark_stale();
  if (event.kind == Kind::executed) view.keep_old_program();
}

void ProcessViews::forget_values() {
  for_each_values([](ValueTracker& values) { values.forget(); });
}

void ProcessViews::on_lost() {
  forget_values();
  if (single_) single_->doubt_code();
  for (Entry& entry : entries_) {
    entry.is_doubtful = true;
    entry.view->doubt_code();
  }
}

}  // namespace trapline::command
