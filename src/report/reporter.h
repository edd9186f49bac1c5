// What a watch tells its user: the stages of a run, in the order they happen, to any format.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "symbols/address_names.h"
#include "symbols/symbolizer.h"
#include "symbols/value_type.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/request.h"

namespace trapline::report {

struct WatchStart {
  std::string expression;  // as the user wrote it
  Request request;
  symbols::ValueType type;
  std::string target;  // "app (pid 812, 4 threads)"
  std::string collector;
  CpuSet cpus;
  std::size_t slots = 0;
  std::vector<std::string> notes;  // weaker than asked for, one sentence each
  // CLOCK_MONOTONIC, when the watch began; text counts its times from there. Without it they count
  // from the first hit.
  std::optional<Nanoseconds> began;
};

// A stack, resolved once and named by a number that reporters may cache their own rendering under.
// Numbers start at 1 and are not reused within a run, even when the table that hands them out
// forgets old stacks.
struct ResolvedStack {
  std::uint64_t id = 0;
  // The culprit's frames (innermost inlined first), then the callers.
  std::vector<symbols::Frame> frames;
};

// What the instruction itself read or wrote: a slot may cover more than that, or less.
struct AccessedBytes {
  RemoteAddress address;
  ByteCount length;
};

// One hit with everything that is known of it. Borrowed: valid only during the call.
//
// `ip`, `instruction`, hit.trap_ip and hit.in_kernel are the same for all hits with one stack id (a
// stack starts with the instruction), so reporters may render them once for each stack.
struct HitView {
  const Hit& hit;
  std::optional<RemoteAddress> ip;  // of the instruction that made the access; nullopt if unknown
  std::string_view instruction;     // its text; "" if unknown
  const ResolvedStack& stack;       // frames[0] is where the access was made
  // Where the watched object begins in the process that made the hit; nullopt: where the request
  // has it.
  std::optional<RemoteAddress> object_start = std::nullopt;
  std::optional<AccessedBytes> accessed = std::nullopt;  // nullopt: not known
  // Of what pointers in the values point to; nullptr: not known.
  symbols::AddressNames* names = nullptr;
  // Hits like this one, of its thread too, come as a TallyView with this number; 0: one by one.
  std::uint64_t tally = 0;
};

// Hits that were only counted. Numbers start at 1; one that ends does not come again.
struct TallyView {
  std::uint64_t number = 0;
  std::uint64_t count = 0;  // those since the last time
  // Of all since the number's own hit, which is not among them.
  Nanoseconds first{};
  Nanoseconds last{};
  CpuSet cpus{};
  MemoryValue lowest{};  // the smallest and the largest new value; `unknown` if there was none
  MemoryValue highest{};
  bool is_last = false;  // nothing will come under this number any more
};

// Which instruction made an access, as far as it is known.
struct AccessPlace {
  std::optional<RemoteAddress> ip;
  RemoteAddress trap_ip;  // where the CPU trapped
  bool in_kernel = false;
};

[[nodiscard]] inline AccessPlace place_of(const HitView& view) {
  return {view.ip, view.hit.trap_ip, view.hit.in_kernel};
}

// The thread's name without its padding: any bytes but NUL; "" if it is not known.
[[nodiscard]] inline std::string_view name_of_thread(const Hit& hit) {
  const std::string_view padded(hit.comm.data(), hit.comm.size());
  return padded.substr(0, padded.find('\0'));
}

// A CPU went away or came back during a watch of the whole machine, or one that stayed online is
// watched no longer, or again.
struct CpuEventView {
  CpuId cpu{};
  bool is_online = false;
  Nanoseconds time{};  // CLOCK_MONOTONIC
  // Of one that is online and watched: for how long at most it ran without being watched, and the
  // time from the kernel's event to the watch working again.
  Nanoseconds gap{};
  Nanoseconds reinstall{};
  bool cpu_was_offline = true;  // false: it stayed online, no event of the kernel's told anything
  // False: it is online and hits on it are missed; `reason` is a sentence that says why.
  bool watched = true;
  std::string_view reason = {};  // borrowed: valid only during the call
};

struct WatchEnd {
  std::uint64_t hits = 0;  // delivered, after --when
  std::uint64_t lost = 0;
  bool lost_is_lower_bound = false;  // hits could not all be counted: more may be lost
  std::uint64_t filtered = 0;        // caught, and rejected by --when
  std::uint64_t undecided = 0;       // caught, and reported although --when could not be evaluated
  std::uint64_t cpu_changes = 0;     // CPUs that went offline or came online, counted each time
  Nanoseconds gap;  // of every CPU, how long at most it was online and not watched; the sum
  Nanoseconds duration;
  std::string reason;  // "interrupted", "the target exited with status 0", "100 hits", ...
};

class Reporter {
 public:
  Reporter() = default;
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;
  virtual ~Reporter() = default;

  // Errors of all: output_failed (closed pipe: os_errno EPIPE; full disk: ENOSPC). After one,
  // nothing more is written.
  [[nodiscard]] virtual Result<void> start(const WatchStart& start) = 0;
  [[nodiscard]] virtual Result<void> hit(const HitView& hit) = 0;
  // Only to reporters of summaries, as is tally(): the others get every hit. Instead of hit(), of a
  // hit that is not to be counted where those are that come under its number.
  [[nodiscard]] virtual Result<void> open_tally(const HitView& /*like*/) { return {}; }
  [[nodiscard]] virtual Result<void> tally(const TallyView& /*tally*/) { return {}; }
  [[nodiscard]] virtual Result<void> lost(std::uint64_t count) = 0;
  [[nodiscard]] virtual Result<void> cpu(const CpuEventView& event) = 0;
  [[nodiscard]] virtual Result<void> end(const WatchEnd& end) = 0;
  // Writes out what is buffered; called when the watch has nothing else to do, so that a reader
  // sees hits promptly.
  [[nodiscard]] virtual Result<void> flush() = 0;
};

}  // namespace trapline::report
