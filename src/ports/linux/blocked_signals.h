// Keeps signals away from the threads of this library: they are the application's business. Not
// those that an instruction of the thread itself raises: blocked, they would end the process
// without its handler.
#pragma once

#include <pthread.h>

#include <csignal>

namespace trapline::linux_port {

// Blocks every signal in the calling thread while it lives: threads started meanwhile keep them
// blocked.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, own);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace trapline::linux_port
