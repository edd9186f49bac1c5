#include "trapline/linux/guard.h"

#include <atomic>

namespace trapline {
namespace {

// The scopes of this thread, innermost first. Its handlers read it, so it is a whole list at every
// moment.
[[gnu::tls_model("initial-exec")]] thread_local constinit Guard::Scope* open_scopes = nullptr;

// Before a handler of this thread may look.
void publish_to_handlers() {
  std::atomic_signal_fence(std::memory_order_release);
}

}  // namespace

Guard::Scope::Scope(std::uint64_t guard) : guard_(guard), outer_(open_scopes) {
  publish_to_handlers();
  open_scopes = this;
  publish_to_handlers();
}

// Usually the innermost; not if somebody keeps scopes on the heap.
Guard::Scope::~Scope() {
  publish_to_handlers();
  Scope** link = &open_scopes;
  while (*link != this) link = &(*link)->outer_;
  *link = outer_;
  publish_to_handlers();
}

bool Guard::Scope::is_open(std::uint64_t guard) {
  for (const Scope* scope = open_scopes; scope != nullptr; scope = scope->outer_) {
    if (scope->guard_ == guard) return true;
  }
  return false;
}

std::expected<Guard, Error> Guard::create(const Request& request, WatchpointHandler on_write,
                                          const WatchpointOptions& options) {
  static constinit std::atomic<std::uint64_t> next_number{1};
  const std::uint64_t number = next_number.fetch_add(1, std::memory_order_relaxed);
  if (!on_write) on_write = report_frozen_write;
  Request writes = request;
  writes.access = Access::write;
  auto watch = Watchpoint::create(
      writes,
      [number, on_write = std::move(on_write)](const WatchpointHit& hit) {
        if (!Scope::is_open(number)) on_write(hit);
      },
      options);
  if (!watch) return std::unexpected(watch.error());
  return Guard(number, *std::move(watch));
}

}  // namespace trapline
