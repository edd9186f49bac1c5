// A thread that runs work on one CPU: pinned, with signals blocked, asleep between pieces.
//
// It survives its CPU: while that is offline the kernel lets it run elsewhere and widens its
// affinity (kernel/sched/core.c, select_fallback_rq). So it is pinned anew when its CPU has been
// started again, and where it finds itself elsewhere.
#pragma once

#include <semaphore>
#include <thread>

#include "trapline/base/units.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::linux_port {

class HotplugThread {
 public:
  explicit HotplugThread(CpuId cpu);
  HotplugThread(const HotplugThread&) = delete;
  HotplugThread& operator=(const HotplugThread&) = delete;
  // Waits for the thread to end.
  ~HotplugThread();

  // Runs `work` and returns when it is done. It is told whether it runs on the CPU: not so while
  // that is offline, or outside this process's cpuset. One caller at a time.
  void run(CpuWork work);
  // The CPU has been started (again): the affinity may have been lost. Not while run() works.
  void forget_pin() { is_pinned_ = false; }

 private:
  void serve();
  // Whether the calling thread is now on the CPU, and stays there while that is online.
  [[nodiscard]] bool pin();

  const CpuId cpu_;
  // Whoever has the turn may touch these: run() gives it away by begin_, serve() back by done_.
  bool is_pinned_ = false;
  CpuWork work_;
  bool ends_ = false;
  std::binary_semaphore begin_{0};
  std::binary_semaphore done_{0};
  std::thread thread_;  // last: it uses the others
};

}  // namespace trapline::linux_port
