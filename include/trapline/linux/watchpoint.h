// Watchpoints inside the process: a handler is called whenever a thread of this process accesses an
// object, in that thread, right after the access.
//
//     auto watch = trapline::Watchpoint::create(cfg.mode, trapline::Access::write,
//                                               [](const trapline::WatchpointHit& hit) { ... });
//     if (!watch) std::fprintf(stderr, "%s\n", trapline::advice_on(watch.error()).c_str());
//
// By the CPU's debug registers, through perf events that raise SIGTRAP (collector `sigtrap`; Linux
// 5.13, x86-64). Every thread there is gets them, and every thread to come. Needs trapline::linux;
// docs/watchpoint.md has the rules and a complete example.
//
// Not seen: what the kernel writes on the process's behalf (read(2) into the object), what other
// processes and devices write. An instruction that accesses two watched objects at once is told of
// one: Linux keeps a single SIGTRAP. So a thread that has SIGTRAP blocked is told late, of several
// hits once, and of none if it ends before it unblocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "trapline/base/access.h"
#include "trapline/base/error.h"
#include "trapline/linux/guarded_access.h"
#include "trapline/watch/request.h"

namespace trapline {

// One access, for as long as the handler runs.
struct WatchpointHit {
  const void* address = nullptr;  // the watched object
  std::size_t length = 0;
  // The part of it that the CPU reported: what one debug register covers, at most 8 bytes. The
  // access may have touched more, or less.
  const void* part = nullptr;
  std::size_t part_length = 0;
  Access access = Access::write;  // what was asked for

  // The whole object: as the access before this one left it (a hit's or a handler's own), or as it
  // was when the watch was set; and as it is now. Each as long as the object, or empty: both if it
  // cannot be read now, and for Access::execute; `old_bytes` if it could not be read then. When
  // threads write at the same time, `new_bytes` may already have what another of them wrote.
  std::span<const std::byte> old_bytes;
  std::span<const std::byte> new_bytes;

  // The CPU traps after a data access: this is the instruction after the one that made it.
  // (Access::execute: the instruction itself, which is still to run.)
  std::uintptr_t trap_ip = 0;
  // Return addresses by frame pointers, innermost first; trap_ip is not among them.
  std::span<const std::uintptr_t> callers;
  // The thread had SIGTRAP blocked at the access: trap_ip and callers are those of where it was
  // unblocked. (Before Linux 5.18 such an access ends the process.)
  bool is_late = false;

  // The interrupted thread's registers: a ucontext_t.
  const void* context = nullptr;

  // What to look up in symbols: an address inside the instruction that made the access, unless that
  // was a call (a push of the return address) or a string instruction that was interrupted.
  [[nodiscard]] std::uintptr_t code_address() const {
    return access == Access::execute ? trap_ip : trap_ip - 1;
  }
  // nullopt: unknown, or the object is not as large as a T.
  template <typename T>
  [[nodiscard]] std::optional<T> old_as() const {
    return as<T>(old_bytes);
  }
  template <typename T>
  [[nodiscard]] std::optional<T> new_as() const {
    return as<T>(new_bytes);
  }

 private:
  template <typename T>
  [[nodiscard]] static std::optional<T> as(std::span<const std::byte> bytes) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>);
    if (bytes.size() != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
};

// Runs in a signal handler (SIGTRAP), in several threads at once if they access the object at once:
// only what is async-signal-safe. It returns; an exception ends the process. What it accesses
// itself is not reported, whatever is watched: it may put the old value back.
using WatchpointHandler = std::function<void(const WatchpointHit&)>;

struct WatchpointOptions {
  static constexpr std::size_t kMostCallers = 64;
  std::size_t callers = 32;  // how many to look for; at most kMostCallers
  // Before the first watch of a process, see that debug registers fire here: under some hypervisors
  // they never do.
  bool self_test = true;
};

class Watchpoint {
 public:
  // Watches an object for as long as the Watchpoint lives. Any thread, but not in a handler of a
  // signal. The first hit may come before it returns. Takes one file descriptor for each thread and
  // debug register; and 5 ms where there are other threads, 20 where they start more, for those
  // whose clone(2) is in the middle of the kernel.
  //
  // Errors, each with its next step from advice_on:
  //   empty_range, range_wraps, range_too_long  the object has no bytes, or more than the registers
  //                                             cover: x86-64 has 4 of at most 8 aligned bytes
  //   access_unsupported                        Access::read on x86-64: ask for read_write
  //   no_free_slot                              others hold the registers
  //   permission_denied                         perf events are forbidden
  //   no_hardware                               registers do not fire here (options.self_test)
  //   not_supported                             a kernel before 5.13, or without perf events; an
  //                                             Arm CPU (docs/watchpoint.md)
  //   bad_length, misaligned                    the kernel refuses the address: its own, say
  //   limit_reached                             descriptors (EMFILE, ENFILE); memory (ENOMEM); or
  //                                             signal handlers (as install_fault_handler)
  //   timed_out                                 threads start faster than they can be looked at
  //   wrong_state                               there is no handler
  //   os_failure                                anything else
  template <typename T>
  [[nodiscard]] static std::expected<Watchpoint, Error> create(
      T& object, Access access, WatchpointHandler handler, const WatchpointOptions& options = {}) {
    return create(request_for(object, access), std::move(handler), options);
  }
  // The same for any range, or for an instruction (Access::execute, at its first byte).
  [[nodiscard]] static std::expected<Watchpoint, Error> create(
      const Request& request, WatchpointHandler handler, const WatchpointOptions& options = {});

  // For a local variable: `Watchpoint watch{object, Access::write, handler};`. Whether it watches
  // has to be asked: `if (!watch) ... watch.error()`.
  template <typename T>
  Watchpoint(T& object, Access access, WatchpointHandler handler,
             const WatchpointOptions& options = {})
      : Watchpoint() {
    auto created = create(object, access, std::move(handler), options);
    if (created) {
      *this = *std::move(created);
    } else {
      error_ = created.error();
    }
  }

  Watchpoint(Watchpoint&& other) noexcept;
  Watchpoint& operator=(Watchpoint&& other) noexcept;
  // Removes the watch from every thread, then waits until no handler of it runs any more: from then
  // on what the handler refers to may go. So not while holding what a handler waits for, and not
  // inside the handler of any watch, which would wait for itself, or for another that waits for it
  // (that ends the process with a message).
  //
  // In a child of fork it only gives the descriptors back. Until it does, or the child executes a
  // program or ends, the child keeps registers of its parent's threads taken, though the parent has
  // removed the watch: nothing is told any more, but a create there may fail (no_free_slot).
  ~Watchpoint();

  [[nodiscard]] explicit operator bool() const { return impl_ != nullptr; }
  // Why it does not watch. nullopt: it does, or did until it was moved from.
  [[nodiscard]] std::optional<Error> error() const { return error_; }

  // What perf counted so far, in all threads. More than handler calls where an access touched two
  // registers, or the handler itself accessed the object.
  [[nodiscard]] std::uint64_t count() const;

 private:
  class Impl;
  Watchpoint();
  explicit Watchpoint(std::unique_ptr<Impl> impl);

  template <typename T>
  [[nodiscard]] static Request request_for(T& object, Access access) {
    static_assert(!std::is_function_v<T>, "an instruction is watched through a Request");
    return {RemoteAddress::of_local(std::addressof(object)), ByteCount{sizeof object}, access};
  }

  std::unique_ptr<Impl> impl_;
  std::optional<Error> error_;
};

// One sentence for people: why an error of create came, and the next step. Looks at this system's
// settings.
[[nodiscard]] std::string advice_on(const Error& error);

// How large an alternate signal stack has to be for a watchpoint, without what the handler itself
// needs: three signals, one in another (a hit, a hit of what its handler accesses, the fault of a
// guarded load). See fault_stack_bytes (trapline/linux/guarded_access.h).
[[nodiscard]] std::size_t watchpoint_stack_bytes();

}  // namespace trapline
