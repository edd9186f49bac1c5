#include "tools/trapline/commands/watch.h"

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <iterator>
#include <utility>

#include "ports/linux/bpf/bpf_collector.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/watch/report_output.h"
#include "tools/trapline/watch/target.h"
#include "tools/trapline/watch/watch_loop.h"
#include "tools/trapline/watch/watch_session.h"

namespace trapline::command {
namespace {

// The exit status of a shell: the command's own, or 128 plus the signal that killed it.
int exit_status_of(int wait_status) {
  constexpr int kSignalBase = 128;
  return WIFSIGNALED(wait_status) ? kSignalBase + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

// A command that was started for the watch belongs to the user's terminal: stay until it ends,
// unless told to go.
std::optional<int> wait_for_command(Target& target, const StopSignals& signals, bool interrupted) {
  while (!interrupted && !target.has_exited()) {
    pollfd entries[] = {{.fd = target.exit_descriptor(), .events = POLLIN, .revents = 0},
                        {.fd = signals.descriptor(), .events = POLLIN, .revents = 0}};
    ::poll(entries, std::size(entries), -1);
    interrupted = signals.take().has_value();
  }
  return target.reap();
}

// Whoever reads the output has seen enough: `| head` is a normal end.
bool is_closed_pipe(const Failure& failure) {
  return failure.error.code == ErrorCode::output_failed && failure.error.os_errno == EPIPE;
}

Result<int> watch(const WatchOptions& options) {
  if (options.verbose) linux_port::print_bpf_messages();
  // Before anything is blocked: what a command is to inherit.
  const auto inherited = linux_port::InheritedSignals::capture();
  const auto signals = StopSignals::block();
  if (!signals) return std::unexpected(signals.error());
  auto output = ReportOutput::open(options, signals->descriptor());
  if (!output) return std::unexpected(std::move(output.error()));
  auto target = Target::acquire(options, inherited);
  if (!target) return std::unexpected(std::move(target.error()));
  const auto session = WatchSession::install(options, *target, **output);
  if (!session) return std::unexpected(session.error());

  auto ended = (*session)->run(*signals);
  if (!ended && !is_closed_pipe(ended.error())) return std::unexpected(std::move(ended.error()));
  if (!target->is_command()) return 0;
  auto status = (*session)->wait_status();
  if (!status)
    status = wait_for_command(*target, *signals, (*session)->end_reason() == "interrupted");
  return status ? exit_status_of(*status) : 0;
}

}  // namespace

int run_watch(const WatchOptions& options) {
  const auto status = watch(options);
  if (status) return *status;
  print_failure(status.error());
  return status.error().error.code == ErrorCode::bad_syntax ? kExitUsage : kExitNothingWatched;
}

}  // namespace trapline::command
