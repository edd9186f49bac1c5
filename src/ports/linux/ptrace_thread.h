// The ptrace calls Trapline makes of one thread, and what a stop of it means.
//
// Thin: one system call each. All from the tracing thread. Except for seize and next_stop, the
// thread must be in a ptrace stop; a call that fails because it was killed meanwhile is not an
// error of its own, the end is reported by next_stop. Source: ptrace(2).
#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

enum class StopKind : std::uint8_t {
  signal,      // a signal is about to be delivered; continue with it or without
  group_stop,  // the process is stopped by SIGSTOP or its kin: let it stay so (stay_stopped)
  trap,        // it was interrupted, or it has just started, or SIGCONT came
  new_thread,  // it made a thread or process: event_thread
  exec,        // its program was replaced; event_thread is what its id was before
  exiting,     // it is about to end
  ended,       // it has ended and was waited for
};

struct ThreadStop {
  ThreadId tid;
  StopKind kind{};
  int signal = 0;                  // signal, group_stop: which
  std::optional<int> wait_status;  // as waitpid(2) gives it
};

// The next stop of any thread traced by the calling thread; nullopt if there is none now. Ends are
// not among them: see take_stop. `unrelated`: a child that is not traced stands in the way, stopped
// by job control and not waited for by its owner; ask for each thread with take_stop instead.
struct NextStop {
  std::optional<ThreadStop> stop;
  bool unrelated = false;
};
[[nodiscard]] NextStop next_stop();

// A stop or the end of this thread, if there is one now. gone: it is not (or no longer) traced by
// this thread, and nothing more will be heard of it.
struct TakenStop {
  std::optional<ThreadStop> stop;
  bool gone = false;
};
[[nodiscard]] TakenStop take_stop(ThreadId tid);

// 0, or the errno of the call.
[[nodiscard]] int seize(ThreadId tid, std::uintptr_t options);
[[nodiscard]] int set_options(ThreadId tid, std::uintptr_t options);
// Makes it stop (StopKind::trap, or group_stop if it was stopped already).
void interrupt(ThreadId tid);
void resume(ThreadId tid, int signal);
// Lets it run one instruction: the next stop is StopKind::signal with SIGTRAP, TRAP_TRACE, if no
// other comes first. False where the architecture has no such step.
[[nodiscard]] bool step(ThreadId tid);
void stay_stopped(ThreadId tid);
// `signal` is delivered if the thread is in a StopKind::signal, else ignored.
void detach(ThreadId tid, int signal);

// Registers of one set (elf.h, NT_...). 0, or the errno.
[[nodiscard]] int read_regset(ThreadId tid, unsigned set, void* destination, std::size_t size);
// What an errno of reading or writing a thread's registers means. `otherwise`: one that means
// another thing on each architecture.
[[nodiscard]] Error error_of_registers(int error, ErrorCode otherwise);

// StopKind::signal.
[[nodiscard]] std::optional<siginfo_t> signal_info(ThreadId tid);
// A SIGTRAP of a debug register or of a step is queued behind the present stop. Detaching now would
// kill the thread's process.
[[nodiscard]] bool has_pending_trap(ThreadId tid);
// StopKind::new_thread and exec.
[[nodiscard]] std::optional<ThreadId> event_thread(ThreadId tid);

}  // namespace trapline::linux_port
