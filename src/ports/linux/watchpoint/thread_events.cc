#include "ports/linux/watchpoint/thread_events.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <tuple>
#include <unordered_set>

#include "ports/linux/attach_pace.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/self_watch.h"

namespace trapline::linux_port {
namespace {

constexpr int kFreshStarts = 3;
// A process that starts threads faster than they can be looked at is not chased for ever.
constexpr Nanoseconds kChaseAtMost{2'000'000'000};

// A kernel that knows the event but not the signal is too old: before 5.13 the attribute is
// unknown.
bool lacks_sigtrap(int error, const SlotRequest& slot) {
  return (error == EINVAL || error == E2BIG) && try_self_watch(slot).has_value();
}

Error error_of(int error, const SlotRequest& slot) {
  if (lacks_sigtrap(error, slot)) return {ErrorCode::not_supported, error};
  return explain_open_error(error, {.pid = ProcessId{::getpid()},
                                    .tid = ThreadId{0},
                                    .slot = slot,
                                    .slots = 1,
                                    .paranoid = std::nullopt,
                                    .perf_works_on_oneself = false})
      .error;
}

// The folder takes a descriptor too.
Error error_of_listing(Error error) {
  if (error.os_errno == EMFILE || error.os_errno == ENFILE) error.code = ErrorCode::limit_reached;
  return error;
}

// In a child of fork there may be copies of the descriptors: then closing alone does not end hits.
void disable_all(const std::vector<PerfEvent>& events) {
  std::for_each(events.rbegin(), events.rend(), [](const PerfEvent& event) { event.disable(); });
}

class Opening {
 public:
  Opening(const Plan& plan, const ThreadEvents::NumberOf& number_of) : plan_(plan) {
    std::size_t slot = 0;
    for (const SlotRequest& request : plan.slots())
      attributes_.push_back(sigtrap_attributes(request, number_of(slot++)));
  }

  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
  ~Opening() { close_all(); }

  std::expected<std::vector<PerfEvent>, Error> run() {
    for (int start = 0; start < kFreshStarts; ++start) {
      close_all();
      seen_.clear();
      const auto added = add_unseen(false);
      if (!added) return std::unexpected(added.error());
      std::ignore = pace_.after_list(*added);
      const auto late = unseen();
      if (!late) return std::unexpected(late.error());
      // The caller itself is cloning nobody.
      if (late->empty() && seen_.size() == 1) return std::move(events_);
      if (late->empty()) break;
    }
    return chase();
  }

 private:
  void close_all() {
    disable_all(events_);
    events_.clear();
  }

  std::expected<std::vector<PerfEvent>, Error> chase() {
    const Nanoseconds give_up{monotonic_now().value + kChaseAtMost.value};
    while (true) {
      const auto added = add_unseen(true);
      if (!added) return std::unexpected(added.error());
      const auto wait = pace_.after_list(*added);
      if (!wait) return std::move(events_);
      if (*added != 0 && monotonic_now() > give_up)
        return std::unexpected(Error{ErrorCode::timed_out});
      std::this_thread::sleep_for(std::chrono::nanoseconds(wait->value));
    }
  }

  std::expected<std::vector<ThreadId>, Error> unseen() {
    auto listed = list_threads(ProcessId{::getpid()});
    if (!listed) return std::unexpected(error_of_listing(listed.error().error));
    std::erase_if(*listed, [this](ThreadId tid) { return seen_.contains(tid.value); });
    return *std::move(listed);
  }

  // How many threads there were.
  std::expected<std::size_t, Error> add_unseen(bool may_have_inherited) {
    const auto threads = unseen();
    if (!threads) return std::unexpected(threads.error());
    for (const ThreadId tid : *threads) {
      seen_.insert(tid.value);
      if (const auto added = add(tid, may_have_inherited); !added)
        return std::unexpected(added.error());
    }
    return threads->size();
  }

  // A thread that may have inherited the first of its slots has room at least for those it lacks,
  // which are the last (as in PerfEventSet::add_thread): what is refused after them is a double.
  std::expected<void, Error> add(ThreadId tid, bool may_have_inherited) {
    const std::size_t slots = attributes_.size();
    for (std::size_t i = 0; i < slots; ++i) {
      const std::size_t slot = may_have_inherited ? slots - 1 - i : i;
      const auto opened = add_event(tid, slot);
      if (opened) continue;
      if (opened.error() == ESRCH) return {};  // it has ended
      if (may_have_inherited && opened.error() == ENOSPC) continue;
      return std::unexpected(error_of(opened.error(), plan_.slots()[slot]));
    }
    return {};
  }

  std::expected<void, int> add_event(ThreadId tid, std::size_t slot) {
    auto event = PerfEvent::open(attributes_[slot], tid, std::nullopt);
    if (!event) return std::unexpected(event.error());
    if (const auto enabled = event->enable(); !enabled) return enabled;
    events_.push_back(*std::move(event));
    return {};
  }

  const Plan& plan_;
  std::vector<perf_event_attr> attributes_;  // by slot
  std::vector<PerfEvent> events_;
  std::unordered_set<std::int32_t> seen_;
  AttachPace pace_;
};

}  // namespace

std::expected<ThreadEvents, Error> ThreadEvents::open(const Plan& plan, const NumberOf& number_of) {
  auto events = Opening(plan, number_of).run();
  if (!events) return std::unexpected(events.error());
  return ThreadEvents(*std::move(events));
}

void ThreadEvents::disable() const {
  disable_all(events_);
}

std::uint64_t ThreadEvents::count() const {
  PerfHitTotal total;
  for (const PerfEvent& event : events_) total.add(event.count());
  return total.hits;
}

}  // namespace trapline::linux_port
