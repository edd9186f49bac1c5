// An object that only those may write who say so: any other write, from any thread and through any
// pointer, is reported at once, with the stack of whoever made it.
//
//     auto guard = trapline::Guard::create(config);      // from here on it is frozen
//     {
//       const auto scope = guard->open();                // but not for this thread, here
//       config.mode = 2;
//     }
//
// A Watchpoint underneath: what that needs and does not see holds here too (watchpoint.h). A write
// inside a scope costs a trap as well, some microseconds. Whether it was allowed is decided when
// the trap arrives: a thread that writes with SIGTRAP blocked has to unblock it before its scope
// ends, or the write is reported (with hit.is_late) as if there had been none.
#pragma once

#include <cstdint>
#include <expected>
#include <utility>

#include "trapline/linux/watchpoint.h"

namespace trapline {

class Guard {
 public:
  // While it lives, the thread that opened it may write. On the stack of that thread; scopes may
  // nest, and outlive the guard.
  class Scope {
   public:
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    friend class Guard;
    explicit Scope(std::uint64_t guard);
    [[nodiscard]] static bool is_open(std::uint64_t guard);

    const std::uint64_t guard_;
    Scope* outer_;  // of the same thread
  };

  // `on_write` is called for each write outside a scope, as a Watchpoint's handler is. Without one
  // the write is reported to standard error and the process aborts, at the write: the object has
  // already changed. Errors: as Watchpoint::create.
  template <typename T>
  [[nodiscard]] static std::expected<Guard, Error> create(T& object,
                                                          WatchpointHandler on_write = {},
                                                          const WatchpointOptions& options = {}) {
    return create(
        Request{RemoteAddress::of_local(std::addressof(object)), ByteCount{sizeof object}},
        std::move(on_write), options);
  }
  [[nodiscard]] static std::expected<Guard, Error> create(const Request& request,
                                                          WatchpointHandler on_write = {},
                                                          const WatchpointOptions& options = {});

  [[nodiscard]] Scope open() const { return Scope(number_); }

 private:
  Guard(std::uint64_t number, Watchpoint watch) : number_(number), watch_(std::move(watch)) {}

  std::uint64_t number_;  // never given out twice
  Watchpoint watch_;
};

// What a Guard does without a handler of its own: the report, then abort(). For handlers that first
// want to do something else. Async-signal-safe.
[[noreturn]] void report_frozen_write(const WatchpointHit& hit);

}  // namespace trapline
