// Keeps signals away from the threads of this library: they are the application's business.
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
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace trapline::linux_port
