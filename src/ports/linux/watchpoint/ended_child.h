// For tests of what ends a process: how a child ended, and what it said.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "ports/linux/fault/fault_test_support.h"

namespace trapline::linux_port::testing {

struct Ended {
  std::string status;  // as text_of_status
  std::string said;    // on standard error
};

// Exits with 0 after `body`; SIGABRT is nobody's.
inline Ended run_child(const std::function<void()>& body) {
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe_ends[1], STDERR_FILENO);
    ::close(pipe_ends[0]);
    std::signal(SIGABRT, SIG_DFL);
    body();
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  Ended ended;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0)
    ended.said.append(buffer, static_cast<std::size_t>(count));
  ::close(pipe_ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  ended.status = text_of_status(status);
  return ended;
}

}  // namespace trapline::linux_port::testing
