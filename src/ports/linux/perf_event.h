// perf_event_open(2) for hardware breakpoints: what to ask for, opening it, and what a refusal
// means.
//
// Building attributes and explaining errors are pure; PerfEvent does the I/O.
//
// Sources: perf_event_open(2); kernel/events/core.c; kernel/events/hw_breakpoint.c.
#pragma once

#include <linux/perf_event.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/perf_records.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// Which tasks made later by the watched thread get the event too.
enum class Inheritance : std::uint8_t { none, threads, threads_and_processes };

struct PerfEventOptions {
  Inheritance inheritance = Inheritance::threads;
  bool kernel_accesses = true;  // catch accesses that system calls make
  // inherit_thread and remove_on_exec (Linux 5.13). Without them child processes are watched too
  // and so is a program that the target executes: the reader filters.
  bool has_inherit_thread = true;
  bool reports_tasks = false;  // fork, exit, comm and map records as well
  StackMode stack = StackMode::frame_pointer;
  bool registers = true;
  ByteCount dwarf_stack_bytes{16ULL * 1024};
};

// What perf is asked for where `wanted` is: wider than that where the kernel cannot tell reads from
// writes.
[[nodiscard]] Access perf_access(Access wanted);

// One sample for each access to `slot`, of the kind perf_access says. Disabled: enable it once its
// output goes somewhere.
[[nodiscard]] perf_event_attr breakpoint_attributes(const SlotRequest& slot,
                                                    const PerfEventOptions& options);
// One for each slot. The first alone reports tasks if that is asked: each event that does gets its
// own copy of these records.
[[nodiscard]] std::vector<perf_event_attr> breakpoint_attributes(const Plan& plan,
                                                                 PerfEventOptions options);

// SIGTRAP in the thread that made the access, before it goes on in user space, with `data` in its
// siginfo (Linux 5.13); in threads it starts later too, not in processes and programs. No samples.
// Disabled as well.
[[nodiscard]] perf_event_attr sigtrap_attributes(const SlotRequest& slot, std::uint64_t data);

// An event of one's own thread that never fires and never ends: to own a ring that events of other
// threads write into. (A ring whose owner's thread has ended polls as hung up for ever.)
// `wakeup_bytes`: how much has to be in the ring before a reader is woken.
[[nodiscard]] perf_event_attr ring_owner_attributes(std::uint32_t wakeup_bytes);

// An event that never fires and records what happens to tasks: fork, exit, name, exec, executable
// mappings. Its records go into the rings of `breakpoint`, whose format they have.
[[nodiscard]] perf_event_attr task_attributes(const perf_event_attr& breakpoint);

// An event that never fires and records nothing: its enabled_time() tells whether a CPU's events
// are alive.
[[nodiscard]] perf_event_attr sign_of_life_attributes();

// What samples of events with these options look like; the same for every slot of a plan.
[[nodiscard]] SampleLayout layout_of(const perf_event_attr& attributes);

// Which event of a plan could not be opened, and the errno.
struct SlotOpenError {
  int error = 0;
  std::size_t slot = 0;
};

class PerfEvent {
 public:
  // `tid` 0 is the calling thread. `cpu`: only while the thread runs there; it may be offline.
  // nullopt: on any CPU. The error is an errno.
  [[nodiscard]] static std::expected<PerfEvent, int> open(const perf_event_attr& attributes,
                                                          ThreadId tid, std::optional<CpuId> cpu);

  // Whatever runs on the CPU, which must be online (else ENODEV) and stay so: once it has been
  // offline the event is dead for good.
  [[nodiscard]] static std::expected<PerfEvent, int> open_on_cpu(const perf_event_attr& attributes,
                                                                 CpuId cpu);

  [[nodiscard]] int descriptor() const { return fd_.get(); }
  // What samples of it, and of those inherited from it, carry as their id. Ascending in the order
  // of opening.
  [[nodiscard]] std::uint64_t id() const { return id_; }

  // The records go into the ring of `owner` (same CPU) from now on.
  [[nodiscard]] std::expected<void, int> redirect_to(const PerfEvent& owner) const;
  // From now on the BPF program runs at each hit, and what it returns decides whether a record is
  // written as well (0: none). Those inherited later have it too.
  [[nodiscard]] std::expected<void, int> set_program(int program) const;
  // Makes an event that the kernel has left half-way over an access watch again, with the
  // attributes it was opened with. On all that was inherited from it too.
  [[nodiscard]] std::expected<void, int> renew(perf_event_attr attributes) const;
  // These act on all that was inherited from it too.
  [[nodiscard]] std::expected<void, int> enable() const;
  void disable() const;
  // How often it and all that was inherited from it fired, ended threads included. nullopt if it
  // cannot be read.
  [[nodiscard]] std::optional<std::uint64_t> count() const;
  // For how long it has been enabled on a CPU that was online; stands still once it is dead. Of
  // events that task_attributes() or sign_of_life_attributes() made. nullopt if it cannot be read.
  [[nodiscard]] std::optional<Nanoseconds> enabled_time() const;
  // Its thread has ended or executed another program, and nobody who inherited it is left.
  [[nodiscard]] bool is_hung_up() const;

 private:
  PerfEvent(FileDescriptor fd, std::uint64_t id) : fd_(std::move(fd)), id_(id) {}

  FileDescriptor fd_;
  std::uint64_t id_;
};

// What several events counted.
struct PerfHitTotal {
  std::uint64_t hits = 0;
  bool is_complete = true;  // false: a count could not be read, there may have been more

  // What one event counted; nullopt: it could not be read.
  void add(std::optional<std::uint64_t> count) {
    hits += count.value_or(0);
    is_complete = is_complete && count.has_value();
  }
  PerfHitTotal& operator+=(const PerfHitTotal& part) {
    hits += part.hits;
    is_complete = is_complete && part.is_complete;
    return *this;
  }
};

// What is known where an event was refused.
struct OpenContext {
  ProcessId pid;
  ThreadId tid;
  SlotRequest slot;
  std::size_t slots = 1;                 // that the whole plan needs in each thread
  std::optional<std::int64_t> paranoid;  // kernel.perf_event_paranoid
  bool perf_works_on_oneself = true;     // so it is this target that is out of reach
};

// The sentence for an errno of perf_event_open(2) on a breakpoint.
[[nodiscard]] Failure explain_open_error(int error, const OpenContext& context);

[[nodiscard]] std::optional<std::int64_t> perf_event_paranoid();

}  // namespace trapline::linux_port
