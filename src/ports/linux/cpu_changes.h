// Tells which CPUs went offline and came online.
//
// The kernel tells of a change after it has happened, through uevents, and its files show the
// state. Either alone is not enough: events are lost, and do not reach every container; a look at
// the files shows one state, and a CPU that went down and up between two looks has lost all that
// was bound to it (a perf event of that CPU never counts again). So events are followed one by one,
// looks are compared with what was known, and CpuGeneration tells one life of a CPU from the next.
//
// What is guaranteed: changes of one CPU alternate. A CPU that was down, however shortly, is told
// as went_offline and then came_online, each once, also when its events arrive together, before or
// after a look that has shown the same. Where events were lost, one such pair may stand for
// several. Kernels without generations (before Linux 4.14) lose a flap whose events were lost.
//
// What nobody is told: a CPU that the kernel began to take down and then kept, because some part of
// it refused. There is no event and no new generation, but the CPU's perf events may be dead
// (measured on Linux 6.18 with cpuN/hotplug/fail: they stay open and stop counting, if the refusal
// came after "perf:online" had been taken down). Only the perf event itself shows it: its enabled
// time stands still.
//
// Nothing here is synchronized: one thread at a time. Not for signal handlers.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ports/linux/cpu_files.h"
#include "ports/linux/uevent_message.h"
#include "ports/linux/uevent_socket.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

struct CpuChange {
  enum class Kind : std::uint8_t { went_offline, came_online };

  CpuId cpu;
  Kind kind{};
  Nanoseconds time;  // CLOCK_MONOTONIC, when it was learned; the change was earlier
  // Of came_online: the CPU cannot have been online in this life before. The last moment at which
  // it was seen to be offline or in an earlier life; none if there was no such moment.
  std::optional<Nanoseconds> earliest;
  bool inferred = false;  // from a look: its event was lost, or has not been read yet

  friend constexpr bool operator==(const CpuChange&, const CpuChange&) = default;
};

// What a look at the CPUs found.
struct CpuSnapshot {
  Nanoseconds time;            // before any of it was read
  std::uint64_t sequence = 0;  // of the last uevent, read before the CPUs; 0: not known
  CpuSet online;
  std::map<CpuId, CpuGeneration> generations;  // of CPUs that are online; empty if not to be had
};

// Turns events and looks into changes. Pure logic.
//
// Looks have to be quiet: all events read before, and none sent meanwhile. Then what was told can
// differ from the look only by a change whose event is still to be sent, or by lost events.
class CpuChangeTracker {
 public:
  // Whether the kernel has generations is decided here, by whether `start` has any.
  explicit CpuChangeTracker(const CpuSnapshot& start);

  // `current` is the CPU's generation, read after the event. Appends to `out`. An event that tells
  // what a look has told before changes nothing.
  void on_uevent(const CpuUevent& event, std::optional<CpuGeneration> current, Nanoseconds now,
                 std::vector<CpuChange>& out);
  // Every event sent before `moment` has been given, or is lost. Only sharpens `earliest`.
  void events_are_read(Nanoseconds moment);
  void reconcile(const CpuSnapshot& found, Nanoseconds now, std::vector<CpuChange>& out);

  // As the changes told so far say.
  [[nodiscard]] CpuSet online() const;

 private:
  struct Cpu {
    bool online = false;
    // Of the last life known. None while online: that life had already ended when it was looked at.
    std::optional<CpuGeneration> generation;
    // A look told the state, whose event may still come. It will be no news.
    bool event_due = false;
    std::optional<Nanoseconds> not_before;  // bounds the next came_online
  };

  Cpu& at(CpuId cpu);
  void reconcile_one(CpuId id, bool online, std::optional<CpuGeneration> current, Nanoseconds now,
                     std::vector<CpuChange>& out);
  void bound_next_lives(Nanoseconds moment);
  [[nodiscard]] bool is_online(const CpuSnapshot& found, CpuId cpu) const;

  bool has_generations_;
  std::uint64_t contained_;  // events up to this number happened before the last look
  std::optional<Nanoseconds> events_read_;
  Cpu unseen_;
  std::vector<Cpu> cpus_;  // by number
};

// What CpuChangeSource asks of the system. A fake in tests.
class CpuEvidence {
 public:
  virtual ~CpuEvidence() = default;

  // As UeventSocket::read_all; nothing, and complete, if nobody listens.
  virtual UeventSocket::Completeness read_events(std::vector<CpuUevent>& received) = 0;
  [[nodiscard]] virtual std::uint64_t last_sequence() = 0;
  [[nodiscard]] virtual std::expected<CpuSet, Error> online() = 0;
  [[nodiscard]] virtual std::optional<CpuGeneration> generation(CpuId cpu) = 0;
  [[nodiscard]] virtual Nanoseconds now() = 0;
  [[nodiscard]] virtual std::optional<int> descriptor() const = 0;
};

class CpuChangeSource {
 public:
  enum class Events : std::uint8_t { listen, ignore };

  // Listens, then looks, so that no change between the two is missed. Goes on without events if the
  // system refuses the socket. Errors: those of CpuFiles::online; interrupted, see collect.
  [[nodiscard]] static std::expected<CpuChangeSource, Error> open(CpuFiles files = CpuFiles(),
                                                                  Events events = Events::listen);
  [[nodiscard]] static std::expected<CpuChangeSource, Error> open_on(
      std::unique_ptr<CpuEvidence> evidence);

  // The CPUs online at open(), changed by what collect() has told since.
  [[nodiscard]] CpuSet online() const { return tracker_.online(); }

  // Readable when there may be something to collect. nullopt: no events, so only reconciling finds
  // changes, as late as it is done. In a container with a user namespace of its own there is a
  // descriptor and no event comes, so reconcile there from time to time as well.
  [[nodiscard]] std::optional<int> descriptor() const { return evidence_->descriptor(); }

  // Appends all changes since the last call, in order for each CPU. Does not wait. `reconcile_now`:
  // compares with the files also if no event is waiting; costs one statx(2) for each CPU online.
  // Errors: those of CpuFiles::online; interrupted, if CPUs changed during each of very many looks.
  // What was appended is valid then; the comparison is due, and made by the next call.
  std::expected<void, Error> collect(std::vector<CpuChange>& changes, bool reconcile_now = false);

 private:
  CpuChangeSource(std::unique_ptr<CpuEvidence> evidence, const CpuSnapshot& start)
      : evidence_(std::move(evidence)), tracker_(start) {}

  void follow(std::span<const CpuUevent> events, std::vector<CpuChange>& changes);

  std::unique_ptr<CpuEvidence> evidence_;
  CpuChangeTracker tracker_;
  bool reconcile_due_ = false;
};

}  // namespace trapline::linux_port
